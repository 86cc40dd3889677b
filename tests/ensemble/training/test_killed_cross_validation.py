"""CrossValidationEnsemble: killed and started again is not killed."""

from pathlib import Path

import pytest
from killing import check_script


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_one_that_was_not(tmp_path):
    """SIGKILL at random moments and in the middle of writes; see killed_cross_validation.py."""
    script = Path(__file__).with_name("killed_cross_validation.py")
    check_script(script, tmp_path, 10, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "jax"))
