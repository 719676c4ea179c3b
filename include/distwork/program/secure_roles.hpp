#pragma once

#include "../base/requirements.hpp"

#include <memory>
#include <string>
#include <vector>

#include "../base/asio.hpp"
#include "../fwd.hpp"
#include "../role_options.hpp"
#include "../roles/any_master.hpp"
#include "../roles/any_slave.hpp"

namespace distwork::detail {

/// Makes the roles of a Program that has a secret. Files that are compiled without TLS know no more than this.
class SecureRoles {
public:
    virtual ~SecureRoles() = default;
    virtual std::shared_ptr<SelectingMaster<RoundRobin>> master(asio::any_io_executor executor,
                                                                MasterOptions options) const = 0;
    virtual std::shared_ptr<AnySlave> slave(asio::any_io_executor executor, std::vector<MasterAddress> masters,
                                            SlaveOptions options) const = 0;
};

/// Reads the file of a secret. Null: the program was compiled without TLS. *Errors*: Error (bad_credentials).
using LoadSecret = std::shared_ptr<const SecureRoles> (*)(const std::string& file);

}  // namespace distwork::detail
