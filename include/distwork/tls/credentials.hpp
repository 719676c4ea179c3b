#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../error.hpp"
#include "contexts.hpp"
#include "secret.hpp"

namespace distwork {

/// What an end shows to the other one, and what it demands: shared secrets, or certificates.
///
/// *Thread-safety*: all functions. *Lifetime*: copies share their contents, so `renew` reaches every role that has one.
class Credentials {
public:
    /// Both ends have the same secret. *Errors*: throws Error (bad_credentials).
    Credentials(const Secret& secret) : Credentials{std::vector<Secret>{secret}} {}

    /// A slave shows the first secret, and a master takes any of them. So that a secret can be renewed: the new one is
    /// added at the master, then put first at the slaves, then the old one is taken away. *Errors*: throws Error
    /// (bad_credentials; also if there is none).
    explicit Credentials(std::vector<Secret> secrets)
        : Credentials{std::make_shared<const detail::TlsContexts>(std::move(secrets))} {}

    /// *Errors*: throws Error (bad_credentials), which names the file: it cannot be read, does not parse, does not fit the
    /// key, or others may read the key.
    Credentials(const Certificates& certificates)
        : Credentials{std::make_shared<const detail::TlsContexts>(certificates)} {}

    /// From now on new connections use what the other has. Those that exist go on.
    void renew(const Credentials& other) {
        auto contexts = other.contexts();
        const std::lock_guard lock{shared_->mutex};
        shared_->contexts.swap(contexts);
    }

    /// \cond
    std::shared_ptr<const detail::TlsContexts> contexts() const {
        const std::lock_guard lock{shared_->mutex};
        return shared_->contexts;
    }
    /// \endcond

private:
    explicit Credentials(std::shared_ptr<const detail::TlsContexts> contexts) {
        shared_->contexts = std::move(contexts);
    }

    struct Shared {
        std::mutex mutex;
        std::shared_ptr<const detail::TlsContexts> contexts;  // guarded by mutex
    };
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace distwork
