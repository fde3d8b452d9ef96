"""Every benchmark still finds what it imports: nothing else of the tests runs them."""

import importlib
import pkgutil

import benchmarks


def test_every_benchmark_can_be_imported() -> None:
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"]
    assert all(importlib.import_module(f"benchmarks.{name}") for name in names)
