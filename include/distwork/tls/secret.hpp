#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include "../error.hpp"
#include "openssl.hpp"
#include "private_file.hpp"

namespace distwork {

/// A secret that masters and slaves share. Whoever has it may be a slave, and may also be a master.
class Secret {
public:
    /// At least 32 bytes, which should be random: a password is no secret. *Errors*: throws Error (bad_credentials).
    explicit Secret(std::string_view bytes);

    /// \cond
    using Key = std::array<unsigned char, 32>;
    const Key& key() const noexcept { return key_; }
    /// Tells secrets apart, and tells nothing about them.
    const std::string& identity() const noexcept { return identity_; }
    /// \endcond

private:
    Key key_{};
    std::string identity_;
};

/// The secret in a file: all of its bytes, 32 to 4,096. Links are followed. The file must have no bits for others, and
/// its group may only read it. *Errors*: throws Error (bad_credentials), which names the file and says what to do.
inline Secret secret_file(const std::string& path);

/// Makes a file with 32 random bytes that only its owner may read. *Errors*: throws Error (bad_credentials) if the file
/// exists, or cannot be written.
inline void make_secret(const std::string& path);

namespace detail {

inline constexpr std::size_t least_secret_bytes = 32;
inline constexpr std::size_t most_secret_bytes = 4096;

inline Secret::Key digest(std::string_view purpose, std::string_view bytes) {
    const std::string all = std::string{purpose}.append(bytes);
    Secret::Key result;
    if (EVP_Digest(all.data(), all.size(), result.data(), nullptr, EVP_sha256(), nullptr) != 1)
        throw Error::with_text(Errc::bad_credentials, openssl_error());
    return result;
}

}  // namespace detail

inline Secret::Secret(std::string_view bytes) {
    if (bytes.size() < detail::least_secret_bytes)
        throw Error::with_text(Errc::bad_credentials, "a secret has at least 32 random bytes, and not " +
                                                          std::to_string(bytes.size()) +
                                                          ": distwork::make_secret or openssl rand make one");
    key_ = detail::digest("distwork secret 1", bytes);
    constexpr std::string_view digits = "0123456789abcdef";
    identity_ = "distwork-";
    const Key name = detail::digest("distwork identity 1", bytes);
    for (std::size_t i = 0; i < 8; ++i) identity_.append({digits[name[i] / 16], digits[name[i] % 16]});
}

inline Secret secret_file(const std::string& path) {
    const std::string bytes = detail::read_private_file(path, detail::most_secret_bytes);
    try {
        return Secret{bytes};
    } catch (const Error& error) {
        detail::refuse_file(path, error.what());
    }
}

inline void make_secret(const std::string& path) {
    std::array<unsigned char, detail::least_secret_bytes> bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
        throw Error::with_text(Errc::bad_credentials, detail::openssl_error());
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) detail::refuse_file(path, std::generic_category().message(errno));
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    const bool is_closed = ::close(file) == 0;
    if (written == static_cast<ssize_t>(bytes.size()) && is_closed) return;
    ::unlink(path.c_str());
    detail::refuse_file(path, "it could not be written");
}

}  // namespace distwork
