"""PyTorch under a memory limit: reaches it, gets its own OutOfMemoryError, and works on."""
import sys

import torch

blocks = []
try:
    while True:
        blocks.append(torch.empty(64 << 20, dtype=torch.uint8, device='cuda'))
except torch.cuda.OutOfMemoryError:
    pass
count = len(blocks)
blocks.clear()
torch.cuda.empty_cache()
matrix = torch.rand(1024, 1024, device='cuda')
total = torch.cuda.get_device_properties(0).total_memory
print(f'{{"blocks": {count}, "total_bytes": {total}, "works": {int(bool((matrix @ matrix).isfinite().all()))}}}')
sys.exit(0)
