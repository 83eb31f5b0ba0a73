"""The images, as values: name, files, command. Building and pulling is `build.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

PAUSE = "registry.k8s.io/pause:3.10"
BUSYBOX = "busybox:1.36"
ECHO = "hashicorp/http-echo:1.0"
ECHO_SECOND = "hashicorp/http-echo:0.2.3"

# The shell is process 1 of the pod: it reaps orphans while it waits, and leaves at once when told to.
PAUSE_SCRIPT = """\
#!/bin/sh
trap 'kill $!; exit 0' TERM INT
while :; do
  sleep 2147483647 &
  wait $!
done
"""

# The options of http-echo that manifests use: -listen=:PORT and -text=TEXT. With no text it answers with the host name.
ECHO_SCRIPT = """\
#!/bin/sh
listen=:5678
text=
while [ $# -gt 0 ]; do
  case "$1" in
    -listen=*|--listen=*) listen=${1#*=} ;;
    -listen|--listen) listen=$2; shift ;;
    -text=*|--text=*) text=${1#*=} ;;
    -text|--text) text=$2; shift ;;
    -version|--version) echo "http-echo (skiff offline image)"; exit 0 ;;
    *) echo "flag provided but not defined: $1" >&2; exit 2 ;;
  esac
  shift
done
[ -n "$text" ] || text=${ECHO_TEXT:-$(hostname)}
mkdir -p /tmp/www/cgi-bin
printf '%s\\n' "$text" > /tmp/www/index.html
cat > /tmp/www/cgi-bin/env <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "host=$(hostname) remote=$REMOTE_ADDR"
END
chmod 755 /tmp/www/cgi-bin/env
echo "server is listening on $listen"
trap 'kill $!; exit 0' TERM INT
httpd -f -v -p "${listen#:}" -h /tmp/www &
wait $!
"""


@dataclass(frozen=True)
class Image:
    """An image that can be built from busybox. `files` maps a path to (mode, text)."""

    name: str
    also: tuple[str, ...] = ()
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    stop_signal: str = ""


PAUSE_IMAGE = Image(PAUSE, files={"pause": (0o755, PAUSE_SCRIPT)}, entrypoint=("/pause",))
BUSYBOX_IMAGE = Image(BUSYBOX, also=("busybox:latest",), command=("sh",))
ECHO_IMAGE = Image(
    ECHO, also=(ECHO_SECOND,), files={"http-echo": (0o755, ECHO_SCRIPT)}, entrypoint=("/http-echo",)
)

SYSTEM_IMAGES = (PAUSE_IMAGE,)
TEST_IMAGES = (BUSYBOX_IMAGE, ECHO_IMAGE)
