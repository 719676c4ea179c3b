#pragma once

#include <new>

#include "../archive/fingerprint.hpp"

namespace distwork::detail {

DISTWORK_DECL TypeShape describe_shape(void (*describe)(FingerprintArchive& archive)) {
    try {
        FingerprintArchive archive;
        describe(archive);
        return archive.result();
    } catch (const std::bad_alloc&) {
        ::operator delete(::operator new(64 * 1024));  // not a new expression: a compiler may omit those
        FingerprintArchive archive{true};
        describe(archive);
        return archive.result();
    }
}

}  // namespace distwork::detail
