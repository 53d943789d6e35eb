#!/usr/bin/env bash
# Unpacks a llama.cpp server from Debian's development suite into a folder of its own; the machine stays as it is.
# usage: install_llama.sh FOLDER, then run FOLDER/llama-server. Needs apt on a Debian machine, and no root.
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/tree"
: >"$folder/apt/status" # nothing counts as installed, so the libraries come along

site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $site sid main" >"$folder/apt/sources.list"

private_apt() {
    apt-get -qq \
        -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$folder/apt/lists" -o "Dir::State::status=$folder/apt/status" \
        -o "Dir::Cache=$folder/apt/cache" -o "APT::Sandbox::User=$(id -un)" \
        -o APT::Install-Recommends=0 -o Debug::NoLocking=1 "$@"
}
private_apt update
private_apt install -y --download-only llama.cpp-tools
for package in "$folder"/apt/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$folder/tree"
done
rm -rf "$folder/apt"

cat >"$folder/llama-server" <<'RUN'
#!/usr/bin/env bash
# The unpacked server with the C library it was built for.
tree=$(cd "$(dirname "$0")" && pwd)/tree
libraries=$(dirname "$tree"/usr/lib/*/llama | head -n 1)
loader=$(find "$libraries" -maxdepth 1 -name 'ld-linux*.so.*' | head -n 1)
exec "$loader" --library-path "$libraries:$libraries/llama:$libraries/ggml:$libraries/blas:$libraries/lapack" \
    "$tree/usr/bin/llama-server" "$@"
RUN
chmod +x "$folder/llama-server"

# ggml looks for its CPU backends beside the running program, which is the loader here.
libraries=$(dirname "$folder"/tree/usr/lib/*/llama | head -n 1)
for backend in "$libraries"/ggml/backends0/libggml-*.so; do
    ln -sf "ggml/backends0/$(basename "$backend")" "$libraries/"
done
"$folder/llama-server" --version
