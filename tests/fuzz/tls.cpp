// A master's end of a connection over TLS. Who has no secret gets nothing through, whatever he says. Who has it, and whose
// bytes are changed on their way, is heard as he spoke, or not at all.

#include <sys/socket.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <distwork/tls.hpp>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "fuzz/input.hpp"
#include "fuzz/seeds.hpp"

namespace {

using namespace distwork;
using Bytes = std::vector<std::byte>;

void require(bool holds) {
    if (!holds) std::abort();
}

constexpr std::string_view message = "a message of a slave";

struct Master {
    Master(asio::io_context& io, int handle)
        : turns{std::make_shared<detail::HandshakeTurns>(Tcp{io.get_executor()})},
          socket{Tcp{io.get_executor()}.adopt(handle), credentials().contexts(), turns} {
        read();
    }
    static const Credentials& credentials() {
        static const Credentials all{Secret{std::string(32, 's')}};
        return all;
    }

    void read() {
        socket.async_read_some(asio::buffer(space), [this](std::error_code error, std::size_t count) {
            heard.append(reinterpret_cast<const char*>(space), count);
            if (error) has_ended = true;
            else read();
        });
    }

    std::shared_ptr<detail::HandshakeTurns> turns;
    detail::TlsSocket socket;
    std::byte space[4096];
    std::string heard;
    bool has_ended = false;
};

/// A slave that has the secret, without a socket.
struct Slave {
    Slave() : ssl{SSL_new(Master::credentials().contexts()->of_slave().native_handle()), &SSL_free} {
        SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_connect_state(ssl.get());
    }
    Bytes say() {
        if (SSL_do_handshake(ssl.get()) == 1 && !std::exchange(has_spoken, true))
            SSL_write(ssl.get(), message.data(), static_cast<int>(message.size()));
        Bytes bytes(16 * 1024);
        const int count = BIO_read(SSL_get_wbio(ssl.get()), bytes.data(), static_cast<int>(bytes.size()));
        bytes.resize(static_cast<std::size_t>(std::max(count, 0)));
        ERR_clear_error();
        return bytes;
    }
    void hear(const Bytes& bytes) {
        if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl.get()), bytes.data(), static_cast<int>(bytes.size()));
    }

    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl;
    bool has_spoken = false;
};

Bytes read_all(int from) {
    Bytes bytes(64 * 1024);
    const auto count = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(static_cast<std::size_t>(std::max<std::ptrdiff_t>(count, 0)));
    return bytes;
}
void write_all(int to, const Bytes& bytes) {
    if (!bytes.empty()) static_cast<void>(::send(to, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

/// What a slave says first, as the words of one who has no secret.
void record(const fuzz::Seeds& seeds) {
    Bytes hello = Slave{}.say();
    const std::size_t count = hello.size() - 1;
    const std::byte head[]{std::byte{0}, static_cast<std::byte>(count & 255), static_cast<std::byte>(count >> 8)};
    hello.insert(hello.begin(), std::begin(head), std::end(head));
    seeds.write("tls", "client_hello", hello);
    seeds.write("tls", "with_the_secret", Bytes{std::byte{1}});
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    return fuzz::begin(record);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input{data, size};
    const bool has_secret = (input.byte() & 1) != 0;
    asio::io_context io{1};
    int pair[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    {
        Master master{io, pair[0]};
        const auto settle = [&] {
            for (io.restart(); io.poll() != 0;) io.restart();
        };
        settle();
        if (has_secret) {
            Slave slave;
            bool is_changed = false;
            for (int round = 0; round < 4; ++round) {
                Bytes said = slave.say();
                for (int edits = input.byte() % 4; edits > 0 && !said.empty(); --edits) {
                    const std::size_t at = input.number() % said.size();
                    const auto change = static_cast<std::byte>(input.byte());
                    said[at] ^= change;
                    is_changed |= change != std::byte{};
                }
                const std::size_t cut = input.number();
                if (cut % 8 == 1 && !said.empty()) {  // what is lost on its way
                    said.resize(cut / 8 % said.size());
                    is_changed = true;
                }
                write_all(pair[1], said);
                settle();
                slave.hear(read_all(pair[1]));
            }
            require(message.starts_with(master.heard));
            require(is_changed || master.heard == message);
        } else {
            while (!input.empty()) {
                const std::size_t count = input.number() % 2048;
                write_all(pair[1], input.take(count + 1));
                settle();
                static_cast<void>(read_all(pair[1]));
            }
            require(master.heard.empty());
        }
        ::shutdown(pair[1], SHUT_RDWR);
        ::close(pair[1]);
        settle();
        require(master.has_ended);
    }
    io.restart();
    io.poll();
    return 0;
}
