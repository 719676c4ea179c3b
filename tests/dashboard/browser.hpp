#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/folder.hpp"

namespace support {

/// Chromium without a window, driven by its DevTools protocol over a pair of pipes: messages of JSON that end with a zero.
class Browser {
public:
    static bool is_installed() { return std::system("command -v chromium >/dev/null") == 0; }

    explicit Browser(const std::string& url) {
        int commands[2], messages[2];
        if (pipe2(commands, O_CLOEXEC) != 0 || pipe2(messages, O_CLOEXEC) != 0)
            throw std::runtime_error{"pipe2 failed"};
        const std::string profile = "--user-data-dir=" + folder_.path();
        pid_ = fork();
        if (pid_ == 0) {
            // It has them as 3 and 4, between which and these nothing may be overwritten.
            const int in = fcntl(commands[0], F_DUPFD, 10);
            const int out = fcntl(messages[1], F_DUPFD, 10);
            const int nowhere = open("/dev/null", O_RDWR);
            dup2(in, 3);
            dup2(out, 4);
            for (const int output : {STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, output);
            close_range(5, ~0u, 0);
            setpgid(0, 0);
            execlp("chromium", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                   profile.c_str(), "about:blank", static_cast<char*>(nullptr));
            _exit(127);
        }
        close(commands[0]);
        close(messages[1]);
        to_ = commands[1];
        from_ = messages[0];
        const std::string target = text_in(call("Target.createTarget", R"({"url":"about:blank"})"), "targetId");
        session_ =
            text_in(call("Target.attachToTarget", R"({"targetId":")" + target + R"(","flatten":true})"), "sessionId");
        for (const char* const domain : {"Page.enable", "Runtime.enable", "Log.enable"}) call(domain);
        call("Page.navigate", R"({"url":")" + url + "\"}");
    }
    Browser(const Browser&) = delete;
    ~Browser() {
        close(to_);
        close(from_);
        ::kill(-pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

    /// The value of an expression that is a string of plain text; empty if it throws. `expression` has no quotation mark.
    std::string value_of(const std::string& expression) {
        const std::string said = call("Runtime.evaluate", R"({"expression":")" + expression + "\"}");
        return said.find(R"("exceptionDetails")") == said.npos ? text_in(said, "value") : std::string{};
    }
    /// What the console said, and what the page threw.
    const std::vector<std::string>& complaints() const noexcept { return complaints_; }

private:
    std::string call(const std::string& method, const std::string& parameters = "{}") {
        const std::string id = R"("id":)" + std::to_string(++last_) + ',';
        std::string message = '{' + id + R"("method":")" + method + R"(","params":)" + parameters;
        if (!session_.empty()) message += R"(,"sessionId":")" + session_ + '"';
        message += "}";
        if (write(to_, message.c_str(), message.size() + 1) < 0) throw std::runtime_error{"the browser has ended"};
        for (;;) {
            const std::string said = next();
            if (said.starts_with('{' + id)) return said;
            for (const char* const event : {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"})
                if (said.starts_with(R"({"method":")" + std::string{event})) complaints_.push_back(said);
        }
    }

    std::string next() {
        std::size_t end;
        while ((end = read_.find('\0')) == read_.npos) {
            pollfd handle{from_, POLLIN, 0};
            char bytes[4096];
            const ssize_t count = ::poll(&handle, 1, 60'000) == 1 ? read(from_, bytes, sizeof bytes) : 0;
            if (count <= 0) throw std::runtime_error{"the browser does not answer"};
            read_.append(bytes, static_cast<std::size_t>(count));
        }
        std::string message = read_.substr(0, end);
        read_.erase(0, end + 1);
        return message;
    }

    /// The text of a member; what is escaped in it stays so.
    static std::string text_in(const std::string& message, const std::string& name) {
        const std::string before = '"' + name + "\":\"";
        const std::size_t at = message.find(before);
        if (at == message.npos) throw std::runtime_error{"no " + name + " in " + message};
        const std::size_t from = at + before.size();
        std::size_t end = from;
        while (message[end] != '"') end += message[end] == '\\' ? 2 : 1;
        return message.substr(from, end - from);
    }

    Folder folder_;  // its profile
    pid_t pid_ = -1;
    int to_ = -1;
    int from_ = -1;
    int last_ = 0;
    std::string session_;
    std::string read_;
    std::vector<std::string> complaints_;
};

}  // namespace support
