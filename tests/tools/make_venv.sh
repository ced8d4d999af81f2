#!/usr/bin/env bash
# make_venv.sh FOLDER PYTHON REQUIREMENTS: a virtual environment that is rebuilt only when its requirements change.
set -euo pipefail

folder=$1 python=$2 requirements=$3
wanted="$("$python" --version) $(sha256sum <"$requirements")"
stamp="$folder/.made-from"

if [[ -f "$stamp" && "$(<"$stamp")" == "$wanted" ]]; then
    exit 0
fi
echo "making $folder from $requirements with $("$python" --version), a minute when nothing is cached ..."
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --requirement "$requirements"
"$folder/bin/python" -m pip check >/dev/null
echo "$wanted" >"$stamp"
