#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/asio.hpp"
#include "base/separate.hpp"
#include "group_progress.hpp"
#include "master.hpp"
#include "work_group.hpp"

namespace distwork {

/// How progress is shown, on the standard error.
enum class ProgressStyle {
    automatic,  ///< a bar on a terminal, lines elsewhere
    bar,        ///< one line that changes, at most ten times a second
    lines,      ///< a line every ten seconds
    none,       ///< not at all
};

namespace detail {

class ProgressDrawer;
DISTWORK_DECL std::shared_ptr<ProgressDrawer> start_drawing(asio::any_io_executor executor,
                                                            std::function<GroupProgress()> progress,
                                                            ProgressStyle style);
DISTWORK_DECL void end_drawing(ProgressDrawer& drawer) noexcept;

/// The text of a bar, in at most `columns` columns, without a line break.
DISTWORK_DECL std::string bar_of(const GroupProgress& progress, std::size_t columns);
/// The text of a line, without a line break.
DISTWORK_DECL std::string line_of(const GroupProgress& progress);

}  // namespace detail

/// Shows how far a group is, from a second after its construction until its destruction: what is done, how fast, and how
/// long the rest will take. Log lines, and what local slaves write, go above the bar. It uses no colours.
///
/// *Executor*: it draws on the group's, or on the one that it is given. *Thread-safety*: none. *Lifetime*: it may outlive
/// the group, but not the executor's context. One bar at a time is shown.
class ProgressBar {
public:
    /// Shows the progress of this group.
    template <class R>
    explicit ProgressBar(const WorkGroup<R>& group, ProgressStyle style = ProgressStyle::automatic)
        : ProgressBar{detail::PartsOf::core(group)->executor(), group, style} {}
    /// The same, drawn on another executor.
    template <class R>
    ProgressBar(asio::any_io_executor executor, const WorkGroup<R>& group,
                ProgressStyle style = ProgressStyle::automatic)
        : drawer_{detail::start_drawing(
              std::move(executor), [core = detail::PartsOf::core(group)] { return core->flow().progress(); }, style)} {}

    /// What was moved from may only be destroyed.
    ProgressBar(ProgressBar&&) noexcept = default;
    ProgressBar& operator=(ProgressBar&&) = delete;
    /// Erases the bar.
    ~ProgressBar() {
        if (drawer_) detail::end_drawing(*drawer_);
    }

private:
    std::shared_ptr<detail::ProgressDrawer> drawer_;
};

}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "impl/progress_bar.ipp"
#endif
