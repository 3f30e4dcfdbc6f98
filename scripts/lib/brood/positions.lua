-- The numbers 1, 2, ... n as a tensor of shape (n). The op set has no such leaf: a transposed convolution of n ones
-- with n ones is 1, 2, ... n, ... 2, 1.
return function(graph, n)
    local ones, kernel = graph:constant(1, { 1, n, 1, 1 }), graph:constant(1, { n, 1, 1, 1 })
    return require "brood.graph".conv_transpose(ones, kernel):slice({ false, { 1, n } }):reshape(n)
end
