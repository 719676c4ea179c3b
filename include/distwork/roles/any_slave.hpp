#pragma once

#include <memory>
#include <vector>

#include "../base/asio.hpp"
#include "../execution/slave_activity.hpp"
#include "../role_options.hpp"
#include "../types/registry.hpp"
#include "../version.hpp"
#include "any_role.hpp"

namespace distwork::detail {

/// The implementation of a Slave, without its transport: see AnyMaster.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the Slave, by its coroutines and by its session.
class AnySlave : public AnyRole {
public:
    /// It executes works of this type, and of no type that was not named so. *Errors*: Error (foreign_type).
    virtual void accept_work(const WorkType& type) = 0;
    virtual bool is_connected() const noexcept = 0;
    virtual SlaveActivity activity() const = 0;
    virtual const asio::any_io_executor& executor() const noexcept = 0;

protected:
    ~AnySlave() = default;
};

/// The versions are a part of the function's name: see MasterFactory.
template <class Transport, int major = DISTWORK_VERSION_MAJOR, int minor = DISTWORK_VERSION_MINOR,
          int patch = DISTWORK_VERSION_PATCH, int with_asio = asio_version>
struct SlaveFactory {
    /// *Errors*: Error (bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
    static std::shared_ptr<AnySlave> make(Transport transport, std::vector<MasterAddress> masters,
                                          SlaveOptions options);
    static std::shared_ptr<AnySlave> make(asio::any_io_executor executor, std::vector<MasterAddress> masters,
                                          SlaveOptions options);
};

}  // namespace distwork::detail
