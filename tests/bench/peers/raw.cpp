// The floor: epoll, frames that leave and arrive in batches, bytes copied and nothing serialized.
#include <sys/epoll.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "../support/pair.hpp"
#include "../support/sockets.hpp"

namespace {

using bench::Head;
using bench::Pair;
using bench::Setup;

/// A connection with what waits to leave, and what has come in part.
class Link {
public:
    explicit Link(int socket, std::size_t body_bytes)
        : socket_{socket}, in_(std::max<std::size_t>(256 * 1024, 2 * (body_bytes + sizeof(Head)))) {
        bench::set_non_blocking(socket);
    }

    int socket() const { return socket_; }

    /// Room for a frame's body, behind its head.
    char* append(const Head& head) {
        const std::size_t at = out_.size();
        out_.resize(at + sizeof head + head.length);
        std::memcpy(out_.data() + at, &head, sizeof head);
        return out_.data() + at + sizeof head;
    }

    /// False: the rest must wait until the socket takes more.
    bool flush() {
        while (sent_ != out_.size()) {
            const ssize_t count = ::send(socket_, out_.data() + sent_, out_.size() - sent_, 0);
            if (count < 0 && errno == EAGAIN) return false;
            if (count <= 0) throw std::runtime_error{"the peer is gone"};
            sent_ += static_cast<std::size_t>(count);
        }
        out_.clear();
        sent_ = 0;
        return true;
    }

    /// Reads once, and hands over every whole frame.
    template <class OnFrame>
    void receive(OnFrame on_frame) {
        const ssize_t count = ::recv(socket_, in_.data() + end_, in_.size() - end_, 0);
        if (count < 0 && errno == EAGAIN) return;
        if (count <= 0) throw std::runtime_error{"the peer is gone"};
        end_ += static_cast<std::size_t>(count);
        std::size_t at = 0;
        while (end_ - at >= sizeof(Head)) {
            Head head;
            std::memcpy(&head, in_.data() + at, sizeof head);
            if (end_ - at - sizeof head < head.length) break;
            on_frame(head, std::span<const char>{in_.data() + at + sizeof head, head.length});
            at += sizeof head + head.length;
        }
        std::memmove(in_.data(), in_.data() + at, end_ - at);
        end_ -= at;
    }

private:
    int socket_;
    std::vector<char> out_;
    std::size_t sent_ = 0;
    std::vector<char> in_;
    std::size_t end_ = 0;
};

class Loop {
public:
    void add(Link& link, std::uint32_t events = EPOLLIN) {
        epoll_event event{};
        event.events = events;
        event.data.ptr = &link;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, link.socket(), &event);
    }
    void wait_for(Link& link, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.ptr = &link;
        epoll_ctl(epoll_, EPOLL_CTL_MOD, link.socket(), &event);
    }

    /// Serves until `on_link` returns false: it receives, and queues what is to leave.
    template <class OnLink>
    void run(OnLink on_link) {
        epoll_event events[256];
        for (;;) {
            const int count = epoll_wait(epoll_, events, 256, -1);
            for (int i = 0; i < count; ++i) {
                Link& link = *static_cast<Link*>(events[i].data.ptr);
                if ((events[i].events & ~static_cast<std::uint32_t>(EPOLLOUT)) && !on_link(link)) return;
                const bool all = link.flush();
                if (all != !(events[i].events & EPOLLOUT) || !all) wait_for(link, all ? EPOLLIN : EPOLLIN | EPOLLOUT);
            }
        }
    }

private:
    int epoll_ = epoll_create1(0);
};

void run_master(Pair& pair) {
    std::uint16_t port = 0;
    const int listener = bench::listen_on_loopback(port);
    pair.note_memory();
    pair.listening(port);
    Loop loop;
    std::vector<std::unique_ptr<Link>> links;
    for (std::size_t i = 0; i < pair.setup.slaves; ++i) {
        const int socket = accept(listener, nullptr, nullptr);
        bench::set_no_delay(socket);
        links.push_back(std::make_unique<Link>(socket, pair.setup.bytes));
        loop.add(*links.back());
    }
    pair.note_memory();
    if (pair.setup.idle) return;

    const std::size_t payload = pair.payload_bytes();
    std::uint64_t next = 0;
    double sent = 0;
    const auto submit = [&](Link& link) {
        const std::uint64_t id = next++;
        if (pair.in_flight() == 1) sent = Pair::now();
        char* const body = link.append({static_cast<std::uint32_t>(pair.setup.bytes), 1, id});
        std::memcpy(body, &id, sizeof id);
        bench::fill_payload(id, {body + sizeof id, payload});
    };
    pair.begin();
    for (const auto& link : links) {
        for (std::size_t i = 0; i < pair.setup.window; ++i) submit(*link);
        if (!link->flush()) loop.wait_for(*link, EPOLLIN | EPOLLOUT);
    }
    loop.run([&](Link& link) {
        link.receive([&](const Head& head, std::span<const char> body) {
            std::uint64_t answer = 0;
            std::memcpy(&answer, body.data(), sizeof answer);
            if (sent != 0) pair.took(Pair::now() - sent);
            if (pair.answered(answer, bench::expected_answer(head.id, payload))) submit(link);
        });
        return !pair.done();
    });
}

void run_slave(const Setup& setup) {
    Loop loop;
    std::vector<std::unique_ptr<Link>> links;
    for (std::size_t i = 0; i < (setup.one_process ? setup.slaves : 1); ++i) {
        links.push_back(std::make_unique<Link>(bench::connect_to_loopback(setup.port), setup.bytes));
        loop.add(*links.back());
    }
    loop.run([&](Link& link) {
        link.receive([&](const Head& head, std::span<const char> body) {
            std::uint64_t id = 0;
            std::memcpy(&id, body.data(), sizeof id);
            const std::uint64_t answer = bench::answer_to(id, body.subspan(sizeof id));
            std::memcpy(link.append({sizeof answer, 2, head.id}), &answer, sizeof answer);
        });
        return true;
    });
}

}  // namespace

int main(int argc, char** argv) {
    return bench::main(argc, argv, run_master, run_slave);
}
