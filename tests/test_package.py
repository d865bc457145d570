"""What an import costs."""

from __future__ import annotations

import subprocess
import sys


def test_importing_nas_gym_does_not_import_torch() -> None:
    code = "import nas_gym, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there_after_the_import() -> None:
    code = "import nas_gym; [getattr(nas_gym, name) for name in nas_gym.__all__]"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
