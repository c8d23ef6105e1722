#!/bin/sh
# Installs the files of `make build` on a system with ELF libraries, or removes them again.
set -eu

usage() {
    cat <<'END'
usage: install.sh install BUILD_DIR
       install.sh uninstall

  BUILD_DIR   folder with libextism.so, libextism.a and native-libs.txt, the linker flags that libextism.a needs;
              `built`, the features it was built with, is shown if it is there

From the environment:
  EXTISM_ABI  which of Extism's C interfaces the library has: 0 for 0.1.0, 1 for 1.x; default: 0
  DESTDIR     put before every path, for packages; default: nothing
  PREFIX      an absolute path, as are the next two; default: /usr/local
  LIBDIR      default: $PREFIX/lib
  INCLUDEDIR  default: $PREFIX/include
  VERSION     default: what version.sh prints
  LDCONFIG    renews the loader's cache, where that is called for; default: ldconfig
END
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
destdir=${DESTDIR-}
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
case ${EXTISM_ABI:-0} in
    # 0.1.0 called the file for pkg-config libextism.pc, later versions extism.pc. Files of the other library that would
    # lead to this one's header and library are in `others`.
    0) build="make build" headers="extism.h extism.hpp" packages="extism libextism extism-static" others="" ;;
    1)
        build="make build ABI=1" headers=v1/extism.h packages="extism extism-static"
        others="$includedir/extism.hpp $libdir/pkgconfig/libextism.pc"
        ;;
    *) fail "EXTISM_ABI is $EXTISM_ABI, and has to be 0 or 1" ;;
esac
version=${VERSION:-$("$here/version.sh" "${EXTISM_ABI:-0}")}
soname=libextism.so.${version%%.*}
PATH=$PATH:/usr/sbin:/sbin # users' has no ldconfig
ldconfig=${LDCONFIG:-ldconfig}

# Prints a path as extism.pc has it: relative to the prefix if it is below it, so that the tree may be moved.
# shellcheck disable=SC2016 # pkg-config expands it, not this shell
below_prefix() {
    case $1 in
        "$prefix"/*) printf '${prefix}%s\n' "${1#"$prefix"}" ;;
        *) printf '%s\n' "$1" ;;
    esac
}

pkg_config_file() { # NAME LIBS, several lines separated by \\n
    sed -e "s|@PREFIX@|$prefix|" \
        -e "s|@LIBDIR@|$(below_prefix "$libdir")|" \
        -e "s|@INCLUDEDIR@|$(below_prefix "$includedir")|" \
        -e "s|@NAME@|$1|" \
        -e "s|@VERSION@|$version|" \
        -e "s|@LIBS@|$2|" \
        "$here/extism.pc.in"
}

install_all() { # BUILD_DIR
    for file in "$1/libextism.so" "$1/libextism.a" "$1/native-libs.txt"; do
        [ -f "$file" ] || fail "no $file: run \`$build\` first, with the features that are wanted"
    done
    for header in $headers; do
        [ -f "$root/$header" ] || fail "no $root/$header"
    done
    # Programs would not find a library that has another soname.
    readelf -d "$1/libextism.so" | grep -q "SONAME.*\[$soname\]" || fail "the soname of $1/libextism.so is not $soname"
    libs_private=$(tr '\n' ' ' <"$1/native-libs.txt" | sed 's/ *$//')

    for other in $others; do
        rm -f "$destdir$other"
    done
    install -d "$destdir$includedir" "$destdir$libdir/pkgconfig"
    for header in $headers; do
        install -m 644 "$root/$header" "$destdir$includedir"
    done
    install -m 644 "$1/libextism.a" "$destdir$libdir/libextism.a"
    install -m 755 "$1/libextism.so" "$destdir$libdir/libextism.so.$version"
    ln -sf "libextism.so.$version" "$destdir$libdir/$soname"
    ln -sf "$soname" "$destdir$libdir/libextism.so"
    # pkg-config cannot choose the static library by an option, so that has a file of its own.
    shared="Libs: -L\${libdir} -lextism\\nLibs.private: $libs_private"
    static="Libs: -L\${libdir} -l:libextism.a $libs_private"
    for name in $packages; do
        libs=$shared
        [ $name != extism-static ] || libs=$static
        pkg_config_file "$name" "$libs" >"$destdir$libdir/pkgconfig/$name.pc"
        chmod 644 "$destdir$libdir/pkgconfig/$name.pc"
    done
    features=$(tr -s ' ' <"$1/built" 2>/dev/null | sed 's/^ *//; s/ *$//') || features=''
    echo "libextism $version${features:+ ($features)} is in $destdir$libdir"
    [ -n "$destdir" ] || tell_loader
}

# Renews the loader's cache, in which programs find the library; only root can. Packages do so at installation.
tell_loader() {
    if [ "$(id -u)" -eq 0 ] && command -v "$ldconfig" >/dev/null; then
        "$ldconfig" || true
    fi
    if ! "$ldconfig" -p 2>/dev/null | grep -qF " $libdir/$soname"; then
        echo "The loader does not find it there yet: run \`ldconfig\` as root if it knows that folder, else link programs" \
            "with -Wl,-rpath,$libdir or run them with LD_LIBRARY_PATH=$libdir"
    fi
}

# What programs are built with belongs to the library that was installed last; the other's stays.
uninstall_all() {
    rm -f "$destdir$libdir/$soname" "$destdir$libdir/libextism.so.$version"
    link=$(readlink "$destdir$libdir/libextism.so") || link=$soname
    [ "$link" = "$soname" ] || return 0
    rm -f "$destdir$libdir/libextism.so" "$destdir$libdir/libextism.a"
    for header in $headers; do
        rm -f "$destdir$includedir/$(basename "$header")"
    done
    for name in $packages; do
        rm -f "$destdir$libdir/pkgconfig/$name.pc"
    done
}

# The files for pkg-config have these paths in them, for programs built anywhere.
is_absolute() { # NAME PATH
    case $2 in
        /*) ;;
        *) fail "$1 is $2, and has to be an absolute path" ;;
    esac
}

[ -n "$version" ] || fail "version.sh prints no version"
case ${1-}:$# in
    install:2 | uninstall:1)
        is_absolute PREFIX "$prefix"
        is_absolute LIBDIR "$libdir"
        is_absolute INCLUDEDIR "$includedir"
        ;;
esac
case ${1-}:$# in
    install:2) install_all "$2" ;;
    uninstall:1) uninstall_all ;;
    -h:1 | --help:1) usage ;;
    *) usage >&2; exit 2 ;;
esac
