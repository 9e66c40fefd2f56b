import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHELLS = [
    pytest.param(
        name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")
    )
    for name in ("bash", "zsh")
]


def source(shell: str, checkout: Path, then: str, **environ: str) -> tuple[int, list[str], str]:
    """Run ``source env.sh`` from another directory, then more; status, output, errors."""
    answer = subprocess.run(
        [shell, "-c", f". '{checkout}/env.sh'\n{then}"],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environ},
        cwd="/",
        capture_output=True,
        text=True,
    )
    return answer.returncode, answer.stdout.splitlines(), answer.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One that is set up, as far as a shell can see."""
    shutil.copy(ROOT / "env.sh", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text("export VIRTUAL_ENV=entered\n")
    (tmp_path / ".venv/local_setup.sh").touch()
    share = tmp_path / "install/focdepth_ros/share/focdepth_ros"
    share.mkdir(parents=True)
    (share / "package.xml").touch()
    for name in ("bash", "zsh"):
        # As those of ROS 2: a command that fails, and a variable that is not set.
        (tmp_path / f"install/setup.{name}").write_text(
            'false\nexport PYTHONPATH="/installed$PYTHONPATH$NOT_SET"\n'
        )
    return tmp_path


@pytest.mark.parametrize("shell", SHELLS)
class TestEnvSh:
    def test_without_set_up_says_what_to_do(self, shell: str, tmp_path: Path) -> None:
        shutil.copy(ROOT / "env.sh", tmp_path)
        status, output, errors = source(shell, tmp_path, "echo $?; echo still here")
        assert status == 0
        assert output == ["1", "still here"]
        assert f"not set up in {tmp_path}; run there first: make setup" in errors

    def test_enters_with_the_checkout_first(self, shell: str, checkout: Path) -> None:
        status, output, errors = source(shell, checkout, "echo $?; env")
        assert (status, errors) == (0, "")
        assert output[0] == "0"
        assert "VIRTUAL_ENV=entered" in output
        assert f"PYTHONPATH={checkout}:/installed" in output
        assert (
            f"FASTRTPS_DEFAULT_PROFILES_FILE={checkout}/config/fastdds_large_images.xml" in output
        )

    def test_keeps_the_profile_of_the_user(self, shell: str, checkout: Path) -> None:
        mine = "/etc/my_profile.xml"
        _, output, _ = source(shell, checkout, "env", FASTRTPS_DEFAULT_PROFILES_FILE=mine)
        assert f"FASTRTPS_DEFAULT_PROFILES_FILE={mine}" in output

    @pytest.mark.parametrize(
        ("options", "kept"), [("-eu", "eu"), ("-e", "e"), ("-u", "u"), ("+eu", "")]
    )
    def test_options_of_the_shell_stay(
        self, shell: str, checkout: Path, options: str, kept: str
    ) -> None:
        then = f"set {options}; . '{checkout}/env.sh'; echo $-"
        status, output, errors = source(shell, checkout, then)
        assert status == 0, errors
        assert {"e", "u"} & set(output[-1]) == set(kept)

    def test_leaves_nothing_else_behind(self, shell: str, checkout: Path) -> None:
        _, output, _ = source(shell, checkout, "set")
        assert not [line for line in output if line.startswith("_focdepth")]

    def test_libraries_of_other_wheels_are_left_behind(self, shell: str, checkout: Path) -> None:
        inherited = {
            "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
            "LD_LIBRARY_PATH": "/other/.venv/lib",
        }
        _, output, _ = source(shell, checkout, "env", **inherited)
        assert not [line for line in output if line.startswith(tuple(inherited))]

    def test_ros_sourced_since_is_named(self, shell: str, checkout: Path) -> None:
        _, output, errors = source(shell, checkout, "echo $?", ROS_DISTRO="jazzy")
        assert output == ["1"]
        assert "ROS 2 jazzy is sourced here, but focdepth_ros was built without it" in errors
