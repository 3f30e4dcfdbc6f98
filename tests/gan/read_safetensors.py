#!/usr/bin/env python3
"""Reads a safetensors file with nothing but Python's own library, sharing no code with what wrote it, and prints
its facts and its tensors: name, type, shape, checksum and sum. Usage: read_safetensors.py FILE"""

import functools
import json
import math
import operator
import struct
import sys
import zlib

FORMATS = {"F32": ("f", 4), "F64": ("d", 8)}

with open(sys.argv[1], "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length).decode("utf-8"))
    data = file.read()

for name, value in header.pop("__metadata__", {}).items():
    print(f"fact {name} = {value}")
end = 0
for name, tensor in header.items():
    letter, size = FORMATS[tensor["dtype"]]
    count = math.prod(tensor["shape"])
    begin, end_before = tensor["data_offsets"][0], end
    end = tensor["data_offsets"][1]
    assert begin == end_before and end == begin + count * size <= len(data), name
    numbers = struct.unpack(f"<{count}{letter}", data[begin:end])
    total = functools.reduce(operator.add, numbers, 0.0)
    print(f"tensor {name} {tensor['dtype']} {tensor['shape']} {zlib.crc32(data[begin:end]):08x} {total:.17g}")
assert end == len(data), "bytes that belong to no tensor"
