"""Limit torch to one thread, as in the process of a job: on a busy machine its threads wait for each other."""

import torch

torch.set_num_threads(1)
