#pragma once

#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <asio/strand.hpp>
#include <asio/wait_traits.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../base/console.hpp"
#include "../base/surely.hpp"
#include "../log.hpp"
#include "../progress_bar.hpp"

namespace distwork::detail {

/// `1,234,567`
inline std::string with_commas(std::size_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
    return text;
}

/// `1:02`, or `3:01:02`
inline std::string in_words(std::chrono::nanoseconds time) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(time).count();
    char text[64];
    if (seconds >= 3600)
        static_cast<void>(std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(seconds / 3600),
                                        static_cast<long long>(seconds / 60 % 60),
                                        static_cast<long long>(seconds % 60)));
    else
        static_cast<void>(std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(seconds / 60),
                                        static_cast<long long>(seconds % 60)));
    return text;
}

DISTWORK_DECL std::string line_of(const GroupProgress& progress) {
    std::string text = with_commas(progress.done);
    if (!progress.may_grow) text += " of " + with_commas(progress.total);
    text += " done";
    const double rate = progress.rate();
    char number[64];
    static_cast<void>(std::snprintf(number, sizeof number, rate >= 10 ? ", %.0f/s" : ", %.2g/s", rate));
    if (rate > 0) text += number;
    if (const auto left = progress.remaining(); left && progress.done != progress.total)
        text += ", " + in_words(*left) + " left";
    if (progress.failed != 0) text += ", " + with_commas(progress.failed) + " failed";
    if (!progress.text.empty()) text += ", " + escaped(progress.text);
    return text;
}

DISTWORK_DECL std::string bar_of(const GroupProgress& progress, std::size_t columns) {
    constexpr std::size_t most = 30;
    std::string text;
    if (!progress.may_grow && columns >= 50) {
        const auto width = std::min(most, columns / 4);
        const auto full = static_cast<std::size_t>(progress.fraction() * static_cast<double>(width));
        char percent[16];
        static_cast<void>(std::snprintf(percent, sizeof percent, "] %3.0f%%  ", 100 * progress.fraction()));
        text = '[' + std::string(full, '#') + std::string(width - full, '.') + percent;
    }
    text += line_of(progress);
    for (char& letter : text)
        if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = ' ';
    // A letter of several bytes is not cut in two.
    std::size_t end = std::min(text.size(), columns);
    while (end != text.size() && end != 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
    return text;
}

/// Draws again and again. *Lifetime*: shared by its ProgressBar and its timer.
class ProgressDrawer : public std::enable_shared_from_this<ProgressDrawer> {
public:
    ProgressDrawer(asio::any_io_executor executor, std::function<GroupProgress()> progress, bool is_bar)
        : strand_{asio::make_strand(std::move(executor))},
          timer_{strand_},
          progress_{std::move(progress)},
          is_bar_{is_bar} {}

    void begin() { wait(first_turn); }

    void end() noexcept {
        has_ended_ = true;
        erase();
        post_surely(strand_, [self = shared_from_this()] {
            self->timer_.cancel();
            self->erase();
        });
    }

private:
    static constexpr std::chrono::milliseconds first_turn{1000};
    static constexpr std::chrono::milliseconds turn{100};
    static constexpr unsigned turns_of_line = 100;

    void wait(std::chrono::milliseconds time) {
        timer_.expires_after(time);
        timer_.async_wait([self = shared_from_this()](std::error_code cancelled) {
            if (cancelled || self->has_ended_) return;
            static_cast<void>(exception_of([&] { self->draw(); }));  // without memory nothing is drawn
            surely([&] { self->wait(turn); });
        });
    }

    void draw() {
        ++turns_;
        if (is_bar_) {
            show_status(bar_of(progress_(), columns() - 1));
            if (has_ended_) erase();                               // it was erased meanwhile
        } else if (turns_ % turns_of_line == turns_of_line - 9) {  // the first one ten seconds after the begin
            const std::atomic<bool> no_patience{true};
            write_all(stderr, line_of(progress_()) + '\n', no_patience);
        }
    }

    void erase() const noexcept {
        if (is_bar_) static_cast<void>(exception_of([] { show_status({}); }));
    }

    static std::size_t columns() noexcept {
        winsize size{};
        const bool is_known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
        return is_known ? size.ws_col : 80;
    }

    using Strand = asio::strand<asio::any_io_executor>;
    using Clock = std::chrono::steady_clock;

    const Strand strand_;
    asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Strand> timer_;  // strand
    const std::function<GroupProgress()> progress_;
    const bool is_bar_;
    unsigned turns_ = 0;  // strand
    std::atomic<bool> has_ended_{false};
};

DISTWORK_DECL std::shared_ptr<ProgressDrawer> start_drawing(asio::any_io_executor executor,
                                                            std::function<GroupProgress()> progress,
                                                            ProgressStyle style) {
    if (style == ProgressStyle::automatic) {
        const char* const terminal = std::getenv("TERM");
        const bool is_dumb = !terminal || !*terminal || std::string_view{terminal} == "dumb";
        style = ::isatty(STDERR_FILENO) == 1 && !is_dumb ? ProgressStyle::bar : ProgressStyle::lines;
    }
    if (style == ProgressStyle::none) return nullptr;
    const auto drawer =
        std::make_shared<ProgressDrawer>(std::move(executor), std::move(progress), style == ProgressStyle::bar);
    drawer->begin();
    return drawer;
}

DISTWORK_DECL void end_drawing(ProgressDrawer& drawer) noexcept {
    drawer.end();
}

}  // namespace distwork::detail
