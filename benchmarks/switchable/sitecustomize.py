"""Makes the checks of trust switchable in the system that `benchmarks/operations_checks.py` starts, and nowhere else.

Python imports this file at the start of each process whose PYTHONPATH has this folder. The first byte of the file in
KTRDR_BENCH_SWITCH, which the benchmark changes between two rounds, decides whether a check is done or left out.
"""

import mmap
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

WITHOUT: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "worker_agent.proof": {"create_nonce": lambda: "", "is_valid": lambda *values: True},
    "operations.attempt_secrets": {"secret_of": lambda attempt: "", "is_proven": lambda attempt, given: True},
    "access.json_bodies": {"is_deeper": lambda document, depth: False},
    "access.body_limits": {"BodyLimitMiddleware.__call__": lambda self, request: self._get_response(request)},
    "ktrdr_site.web.impersonal": {
        "ImpersonalMiddleware.__call__": lambda self, request: self._get_response(request)
    },
    "ktrdr_site.accounts.session_limits": {
        "SessionLimitMiddleware.__call__": lambda self, request: self._get_response(request)
    },
    "ktrdr_site.second_factor.enforcement": {
        "SecondFactorMiddleware.__call__": lambda self, request: self._get_response(request)
    },
}
"""Module -> function -> what takes its place while the checks are left out."""


class Switching(MetaPathFinder):
    """Replaces the functions as soon as their module has been imported."""

    def __init__(self, state: mmap.mmap) -> None:
        self._state = state

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in WITHOUT:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_replace(module: ModuleType) -> None:
                execute(module)
                for function, without in WITHOUT[name].items():
                    self._replace(module, function, without)

            spec.loader.exec_module = execute_and_replace  # type: ignore[method-assign]  # of this loader only
        return spec

    def _replace(self, module: ModuleType, function: str, without: Callable[..., Any]) -> None:
        owner, _, name = function.rpartition(".")
        place = pkgutil.resolve_name(f"{module.__name__}:{owner}") if owner else module
        original, state = getattr(place, name), self._state

        def call(*values: Any, **named: Any) -> Any:
            return (original if state[0] else without)(*values, **named)

        setattr(place, name, call)


switch = os.environ.get("KTRDR_BENCH_SWITCH")
if switch:
    with Path(switch).open("rb") as file:
        sys.meta_path.insert(0, Switching(mmap.mmap(file.fileno(), 1, access=mmap.ACCESS_READ)))
