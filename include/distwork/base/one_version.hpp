#pragma once

#include "../version.hpp"

// All files of a program or shared library must be compiled with one version of this library: their types have the same
// names. Files with different versions do not link: each version defines the same symbol, in a section group of its own
// of which the linker keeps one.
#if defined(__ELF__) && defined(__GNUC__)
// The condition is for link-time optimization, which assembles many files as one.
__asm__(
    ".ifndef distwork_files_have_different_versions\n"
    ".pushsection .rodata.distwork_version,\"aG\",%progbits,distwork_version_" DISTWORK_VERSION
    ",comdat\n"
    ".globl distwork_files_have_different_versions\n"
    ".hidden distwork_files_have_different_versions\n"
    "distwork_files_have_different_versions:\n"
    ".byte 0\n"
    ".popsection\n"
    ".endif\n");
#endif
