#pragma once

#include <exception>

#include "../archive/codec.hpp"
#include "../base/type_name.hpp"
#include "../error.hpp"

namespace distwork::detail {

[[noreturn]] DISTWORK_DECL void rethrow_malformed() {
    try {
        throw;
    } catch (const Error&) {
        throw;
    } catch (...) {
        std::throw_with_nested(Error{Errc::malformed, what_of(std::current_exception())});
    }
}

}  // namespace distwork::detail
