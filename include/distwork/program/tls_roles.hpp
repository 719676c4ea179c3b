#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../roles/machinery.hpp"
#include "../tls.hpp"
#include "secure_roles.hpp"

namespace distwork::detail {

/// The roles of a Program over Tls.
class TlsRoles final : public SecureRoles {
public:
    explicit TlsRoles(const std::string& file) : credentials_{secret_file(file)} {}

    std::shared_ptr<SelectingMaster<RoundRobin>> master(asio::any_io_executor executor,
                                                        MasterOptions options) const override {
        return MasterFactory<RoundRobin, Tls>::make(Tls{std::move(executor), credentials_}, std::move(options), {});
    }
    std::shared_ptr<AnySlave> slave(asio::any_io_executor executor, std::vector<MasterAddress> masters,
                                    SlaveOptions options) const override {
        return SlaveFactory<Tls>::make(Tls{std::move(executor), credentials_}, std::move(masters), std::move(options));
    }

    static std::shared_ptr<const SecureRoles> load(const std::string& file) { return std::make_shared<TlsRoles>(file); }

private:
    const Credentials credentials_;
};

}  // namespace distwork::detail
