-- Means, their spread, and intervals by Student's t.
local student = {}

function student.mean(values)
    local sum = 0
    for _, value in ipairs(values) do sum = sum + value end
    return sum / #values
end

-- The standard deviation of a sample; nil for less than two.
function student.deviation(values)
    if #values < 2 then return nil end
    local mean, squares = student.mean(values), 0
    for _, value in ipairs(values) do squares = squares + (value - mean) ^ 2 end
    return math.sqrt(squares / (#values - 1))
end

-- The chance that t with `freedom` degrees of freedom is between -t and t: Abramowitz and Stegun 26.7.3 and 26.7.4.
local function within(t, freedom)
    local theta = math.atan(t / math.sqrt(freedom))
    local sine, cosine = math.sin(theta), math.cos(theta)
    local term, sum = 1, 1
    local odd = freedom % 2 == 1
    for k = odd and 3 or 2, freedom - 2, 2 do
        term = term * cosine ^ 2 * (k - 1) / k
        sum = sum + term
    end
    if not odd then return sine * sum end
    return 2 / math.pi * (theta + (freedom > 1 and sine * cosine * sum or 0))
end

-- The t that a share (0.95) of the values lies within, by bisection.
function student.quantile(share, freedom)
    local low, high = 0, 1
    while within(high, freedom) < share do high = 2 * high end
    for _ = 1, 60 do
        local middle = (low + high) / 2
        if within(middle, freedom) < share then low = middle else high = middle end
    end
    return (low + high) / 2
end

-- Half the 95 % interval of the mean; nil for less than two values.
function student.half_interval(values)
    local deviation = student.deviation(values)
    return deviation and student.quantile(0.95, #values - 1) * deviation / math.sqrt(#values)
end

return student
