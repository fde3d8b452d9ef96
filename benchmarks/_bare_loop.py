"""Only the training loop of the demo, in processes like those of jobs: forked from a warm one.

`python -m benchmarks._bare_loop NAME=PATH...`, with the bars that the training reads, prints a line when it is warm, and the
processor time of one loop in seconds for each line of its input. Loaded libraries and prepared data are inherited, so this
is the least that a training job can take. Start it with one thread for each library, as jobs are.
"""

import os
import sys
import time
from pathlib import Path

from benchmarks._system import ROOT
from ktrdr_site.demo.scenario import STRATEGY, TRAINED_ON, TRAINED_UNTIL
from workers.learning.prepared_data import first_day, load_bars, prepare_data
from workers.learning.trainer import choose_device, start, train
from workers.learning.training_parameters import TrainingParameters
from workers.strategy.grammar import parse_trained_strategy
from workers.warming import warm_up


def main(inputs: dict[str, Path]) -> None:
    for _ in warm_up():
        pass
    text = (ROOT / STRATEGY).read_text()
    parameters = TrainingParameters(strategy_yaml=text, symbols=TRAINED_ON, end_date=TRAINED_UNTIL)
    strategy = parse_trained_strategy(text)
    data = prepare_data(strategy, load_bars(strategy, parameters, inputs), first_day(strategy, parameters))
    print(flush=True)
    for _ in sys.stdin:
        process = os.fork()
        if process == 0:
            started = time.process_time()
            loop = start(
                strategy.model, strategy.training, data.x, data.parts, seed=parameters.seed,
                device=choose_device("cpu"), label_scale=data.label_scale,
            )  # fmt: skip
            train(loop)
            print(time.process_time() - started, flush=True)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status:
            raise SystemExit(f"a loop ended with the status {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main({name: Path(path) for name, _, path in (argument.partition("=") for argument in sys.argv[1:])})
