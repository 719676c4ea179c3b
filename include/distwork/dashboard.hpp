#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/asio.hpp"
#include "log.hpp"
#include "master.hpp"
#include "roles/any_master.hpp"
#include "roles/parts_of.hpp"

namespace distwork {

/// Options of Dashboard.
struct DashboardOptions {
    std::string address = "127.0.0.1";  ///< where to listen: an address of loopback, or "localhost"
    std::uint16_t port = 0;             ///< 0: any free one, see Dashboard::local_endpoint
    /// Names by which it is asked for besides `address`, "localhost" and addresses of loopback: those of a proxy before it.
    std::vector<std::string> host_names{};
    Log log{};  ///< empty: warnings and errors to the standard error
};

namespace detail {

class DashboardCore;

std::shared_ptr<DashboardCore> start_dashboard(std::shared_ptr<const AnyMaster> master, DashboardOptions options);
asio::ip::tcp::endpoint endpoint_of(const DashboardCore& dashboard);

}  // namespace detail

/// Shows by HTTP what a master does. It needs cpp-httplib: link `distwork::dashboard`.
///
///     Dashboard dashboard{master, {.port = 8080}};    // then open http://127.0.0.1:8080/
///
/// | path | |
/// | --- | --- |
/// | `/` | a page for people, live, on a phone too; it loads nothing from elsewhere |
/// | `/healthz` | 200 while the master admits works, 503 once it stops |
/// | `/status.json` | outcomes, what waits and why, slaves; at most 100 slaves and 100 kinds of works one by one |
/// | `/events` | the same each second, as server-sent events |
/// | `/metrics` | for Prometheus, in its text format 0.0.4 |
///
/// It listens on loopback only, where every user of this machine may read it. It answers GET and HEAD only, and no request
/// whose header Host has a foreign name: so no site that a browser shows can read it. A request comes within 5 s. 16 are
/// answered at a time, 8 of them by events, and 32 wait; others get 503. However many readers there are, the master is asked
/// four times a second at most, and less often where that takes long.
///
/// *Executor*: 17 threads of its own, which take no signals. *Thread-safety*: all functions. *Lifetime*: it may outlive the
/// master, whose last figures it shows then; the context of the master's executor must outlive it. The destructor ends all
/// connections, and blocks until the threads have ended.
class Dashboard {
public:
    /// Listens, and answers from now on. *Errors*: throws Error (address_in_use; bad_address; needs_credentials: the address
    /// is beyond loopback; bad_option: an empty name), std::system_error.
    template <class Selector, class Transport>
    explicit Dashboard(const Master<Selector, Transport>& master, DashboardOptions options = DashboardOptions{})
        : core_{detail::start_dashboard(detail::PartsOf::core(master), std::move(options))} {}
    /// What was moved from may only be destroyed.
    Dashboard(Dashboard&&) noexcept = default;
    Dashboard& operator=(Dashboard&&) = delete;

    /// The address and port that it listens on; the port is the one in use if the option was 0.
    asio::ip::tcp::endpoint local_endpoint() const { return detail::endpoint_of(*core_); }

private:
    std::shared_ptr<detail::DashboardCore> core_;
};

}  // namespace distwork

#include "dashboard/dashboard_core.hpp"
