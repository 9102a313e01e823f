# shellcheck shell=bash
# Other CPythons for .ci/run: the machine's own, else those of a Debian in a folder. Read by `source`;
# $versions, $scratch, $debian, $sdist and copy_tree are .ci/run's.
# shellcheck disable=SC2154

# A CPython of version $1 that can make virtual environments: pyenv's, else the one on the PATH.
find_python() {
  local candidate
  for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python "python$1"; do
    if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

# Which of the versions are not on this machine, but may be in Debian's newest suite.
missing_pythons() {
  local version
  for version in $versions; do
    case $version in
      3.14 | 3.15) find_python "$version" >/dev/null || printf '%s\n' "$version" ;;
    esac
  done
}

# A Debian in the folder $debian with the CPythons $1. Fails, and says why, where that cannot be.
make_debian() {
  local version packages=gcc,g++,ca-certificates settings
  [ "$(id -u)" = 0 ] || { echo "not root: no Debian of newer CPythons"; return 1; }
  command -v debootstrap >/dev/null ||
    { apt-get update -qq && apt-get install -y -qq debootstrap; } ||
    { echo "debootstrap cannot be installed: no Debian of newer CPythons"; return 1; }
  for version in $1; do packages+=,python$version,python$version-dev,python$version-venv; done
  debootstrap --variant=minbase --include="$packages" sid "$debian" ||
    { rm -rf --one-file-system "$debian"; echo "debootstrap failed"; return 1; }
  mount -t proc proc "$debian/proc" || echo "no /proc there: tests of memory are passed over"
  # pip there reads what pip here does, and trusts whom it trusts.
  for settings in /etc/pip.conf /etc/xdg/pip "$HOME/.config/pip" "$HOME/.pip" "${PIP_CERT:-}"; do
    if [ -n "$settings" ] && [ -e "$settings" ]; then cp -a --parents "$settings" "$debian/"; fi
  done
  mkdir "$debian/empty"
  cp "$sdist" "$debian/"
  copy_tree "$debian/tree"
}

# Version $1's interpreter in its environment, with the arguments that follow, in an empty folder.
run_python() {
  local version=$1
  shift
  if [ -d "$scratch/py$version" ]; then
    (cd "$scratch/empty" && "$scratch/py$version/bin/python" "$@")
  else
    chroot "$debian" /usr/bin/env -C /empty TMPDIR=/tmp "/py$version/bin/python" "$@"
  fi
}

# What pip is to install on version $1: the sdist $2 with its tests. On the newest CPythons every extra
# but bench and dev, with the newest NumPy; on the oldest the oldest NumPy that pyproject.toml admits.
wanted_on() {
  case $1 in
    3.14 | 3.15) printf '%s\n' "$2[test,dask,docs,examples]" ;;
    3.10) printf '%s\n' "$2[test]" 'numpy==1.23.*' ;;
    *) printf '%s\n' "$2[test]" ;;
  esac
}

# An environment with that for each version, one after another.
prepare_pythons() {
  local version python missing packages
  missing=$(missing_pythons)
  if [ -n "$missing" ]; then make_debian "$missing" || missing=; fi
  for version in $versions; do
    if python=$(find_python "$version"); then
      "$python" -m venv "$scratch/py$version"
      mapfile -t packages < <(wanted_on "$version" "$sdist")
      run_python "$version" -m pip install -q "${packages[@]}"
    elif grep -qx -e "$version" <<<"$missing"; then
      chroot "$debian" "python$version" -m venv "/py$version"
      mapfile -t packages < <(wanted_on "$version" "/$(basename "$sdist")")
      run_python "$version" -m pip install -q "${packages[@]}"
    fi
    [ ! -e "$scratch/stop" ] || return 1
  done
}
