# Puts this shell (bash or zsh) into the environment that `make setup` has made: source env.sh
# It sets variables only; leave it with: exit (or open another terminal).

if [ -n "${ZSH_VERSION-}" ]; then
  eval '_focdepth_root=${${(%):-%x}:A:h}'
  _focdepth_shell=zsh
else
  _focdepth_root=$(CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
  _focdepth_shell=bash
fi

_focdepth_enter() {
  # Python packages and libraries of another environment would get in the way of ours.
  if [ -n "${_ROS_WHEELS_BOOTSTRAP_COMPLETE-}" ]; then
    unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
  fi
  . "$_focdepth_root/.venv/bin/activate" || return
  . "$_focdepth_root/install/setup.$_focdepth_shell" || return
  # The checkout comes first, so that new files count without a new build.
  export PYTHONPATH="$_focdepth_root${PYTHONPATH:+:$PYTHONPATH}"
  # Without it most large images are lost on their way between processes.
  export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$_focdepth_root/config/fastdds_large_images.xml}"
}

if [ -n "${ROS_DISTRO-}" ] && [ -e "$_focdepth_root/.venv/local_setup.sh" ]; then
  echo "ROS 2 $ROS_DISTRO is sourced here, but focdepth_ros was built without it; run first: make setup" >&2
  _focdepth_status=1
elif [ -e "$_focdepth_root/install/focdepth_ros/share/focdepth_ros/package.xml" ] && [ -e "$_focdepth_root/.venv/bin/activate" ]; then
  # The scripts of ROS 2 use unset variables and failing commands.
  case $- in *e*) _focdepth_errexit=1 ;; *) _focdepth_errexit= ;; esac
  case $- in *u*) _focdepth_nounset=1 ;; *) _focdepth_nounset= ;; esac
  set +eu
  _focdepth_enter
  _focdepth_status=$?
  [ -z "$_focdepth_errexit" ] || set -e
  [ -z "$_focdepth_nounset" ] || set -u
else
  echo "focdepth_ros is not set up in $_focdepth_root; run there first: make setup" >&2
  _focdepth_status=1
fi
unset -f _focdepth_enter
unset _focdepth_root _focdepth_shell _focdepth_errexit _focdepth_nounset
eval "unset _focdepth_status; return $_focdepth_status"
