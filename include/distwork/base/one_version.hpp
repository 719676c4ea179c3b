#pragma once

#include "../version.hpp"

// The files of one program, or of one shared library, must be compiled with one version of this library: their types
// have the same names. With g++, files of different versions do not link: each version defines the same symbol, in a
// section group of its own, of which the linker keeps one. (clang's link-time optimization knows no such groups in
// assembler text.)
#if defined(__ELF__) && defined(__GNUC__) && !defined(__clang__)
// The condition is for g++'s link-time optimization, which assembles many files as one.
__asm__(".ifndef .Ldistwork_version_" DISTWORK_VERSION
        "\n"
        ".set .Ldistwork_version_" DISTWORK_VERSION
        ", 1\n"
        ".pushsection .rodata.distwork_version,\"aG\",%progbits,distwork_version_" DISTWORK_VERSION
        ",comdat\n"
        ".globl distwork_files_have_different_versions\n"
        ".hidden distwork_files_have_different_versions\n"
        "distwork_files_have_different_versions:\n"
        ".byte 0\n"
        ".popsection\n"
        ".endif\n");
#endif
