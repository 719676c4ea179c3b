#pragma once

#include "../version.hpp"

// The files of one program, or of one shared library, must be compiled alike where it matters to them all: their types
// have the same names. With g++, files that are not do not link: each choice defines the same symbol, in a section group
// of its own, of which the linker keeps one. (clang's link-time optimization knows no such groups in assembler text.)
#if defined(__ELF__) && defined(__GNUC__) && !defined(__clang__)
// The condition is for g++'s link-time optimization, which assembles many files as one.
#define DISTWORK_ALIKE(symbol, choice)                                            \
    __asm__(".ifndef .L" symbol "_" choice                                        \
            "\n"                                                                  \
            ".set .L" symbol "_" choice                                           \
            ", 1\n"                                                               \
            ".pushsection .rodata." symbol ",\"aG\",%progbits," symbol "_" choice \
            ",comdat\n"                                                           \
            ".globl " symbol                                                      \
            "\n"                                                                  \
            ".hidden " symbol "\n" symbol                                         \
            ":\n"                                                                 \
            ".byte 0\n"                                                           \
            ".popsection\n"                                                       \
            ".endif\n");
#else
#define DISTWORK_ALIKE(symbol, choice)
#endif

DISTWORK_ALIKE("distwork_files_have_different_versions", DISTWORK_VERSION)
