#pragma once

#include "../base/asio.hpp"

// Everything of OpenSSL is included here, and nowhere else.

#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "distwork/tls.hpp needs OpenSSL 3.0 or later"
#endif

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <asio/compose.hpp>
#include <asio/ssl/context.hpp>
#include <asio/ssl/error.hpp>
#include <asio/ssl/stream.hpp>
#include <string>

namespace distwork::detail {

/// What OpenSSL says went wrong on this thread. Empties its queue of errors.
inline std::string openssl_error() {
    std::string text;
    while (const unsigned long code = ERR_get_error()) {
        const char* const reason = ERR_reason_error_string(code);
        if (reason) text += (text.empty() ? "" : ", ") + std::string{reason};
    }
    return text.empty() ? "unknown error" : text;
}

}  // namespace distwork::detail
