"""As in the process of a job, torch has one thread here: on a busy machine its threads wait for each other."""

import torch

torch.set_num_threads(1)
