#!/bin/sh
# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
# bootstrap.sh VENV [--dev]: runs bootstrap.py with whatever Python there is.
for python in python3 python3.12 python3.11 python3.10; do
    if "$python" -c '' 2>/dev/null; then
        exec "$python" "$(dirname "$0")/bootstrap.py" "$@"
    fi
done
echo 'there is no Python here. Type: sudo apt-get install -y python3 python3-venv' >&2
exit 1
