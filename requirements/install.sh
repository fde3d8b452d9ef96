#!/bin/sh
# install.sh PYTHON NAME...: installs the packages of requirements/NAME.txt with the pip of PYTHON. Only files with the recorded
# hashes are accepted, and nothing is installed that is not listed. The name `torch` stands for the build for CPUs if an index of
# pip has it, and else for the build on PyPI, which contains CUDA on Linux; `torch-cpu` and `torch-pypi` name one of them.
set -eu
python=$1
shift
here=$(cd "$(dirname "$0")" && pwd)

install() {
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement "$here/$1.txt"
}

for name in "$@"; do
    if [ "$name" != torch ]; then
        install "$name"
    elif ! install torch-cpu 2>/dev/null; then
        echo "No index of pip has the CPU build of torch for this Python and system; installing the build on PyPI"
        install torch-pypi
    fi
done
