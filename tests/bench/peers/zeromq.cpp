// ZeroMQ: a ROUTER at the master, a DEALER at each slave; single-part messages behind the router's identity. Secure: CURVE.
#include <zmq.h>

#include <vector>

#include "../support/pair.hpp"

namespace {

using bench::Pair;
using bench::Setup;

void check(int result) {
    if (result < 0) throw std::runtime_error{zmq_strerror(zmq_errno())};
}

void unlimited(void* socket) {
    const int none = 0;
    check(zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none));
    check(zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none));
    check(zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none));
}

/// A pair of keys of CURVE, as text.
struct Keys {
    char open[41];
    char secret[41];
    Keys() { check(zmq_curve_keypair(open, secret)); }
};
Keys master_keys() {
    static const Keys keys;
    return keys;
}

void secure_master(void* router) {
    const int is_server = 1;
    check(zmq_setsockopt(router, ZMQ_CURVE_SERVER, &is_server, sizeof is_server));
    check(zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, master_keys().secret, sizeof(Keys::secret)));
}
void secure_slave(void* dealer) {
    const Keys own;
    check(zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, master_keys().open, sizeof(Keys::open)));
    check(zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, own.open, sizeof own.open));
    check(zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, own.secret, sizeof own.secret));
}

void run_master(Pair& pair) {
    void* const context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65'535);
    void* const router = zmq_socket(context, ZMQ_ROUTER);
    unlimited(router);
    if (pair.setup.secure) secure_master(router);
    check(zmq_bind(router, "tcp://127.0.0.1:*"));
    char endpoint[64];
    std::size_t size = sizeof endpoint;
    check(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size));
    pair.note_memory();
    pair.listening(static_cast<std::uint16_t>(std::atoi(std::strrchr(endpoint, ':') + 1)));

    using Identity = std::array<char, 5>;
    const auto receive = [&](Identity& from, std::uint64_t(&body)[2]) {
        check(zmq_recv(router, from.data(), from.size(), 0));
        check(zmq_recv(router, body, sizeof body, 0));
    };
    // Each slave says that it is there.
    std::vector<Identity> slaves(pair.setup.slaves);
    std::uint64_t body[2];
    for (Identity& slave : slaves) receive(slave, body);
    pair.note_memory();
    if (pair.setup.idle) return;

    std::uint64_t next = 0;
    double sent = 0;
    const auto submit = [&](const Identity& to) {
        const std::uint64_t id = next++;
        if (pair.in_flight() == 1) sent = Pair::now();
        zmq_msg_t message;
        check(zmq_msg_init_size(&message, pair.setup.bytes));
        char* const at = static_cast<char*>(zmq_msg_data(&message));
        std::memcpy(at, &id, sizeof id);
        bench::fill_payload(id, {at + sizeof id, pair.payload_bytes()});
        check(zmq_send(router, to.data(), to.size(), ZMQ_SNDMORE));
        check(zmq_msg_send(&message, router, 0));
    };
    pair.begin();
    for (std::size_t i = 0; i < pair.setup.window; ++i)
        for (const Identity& slave : slaves) submit(slave);
    for (;;) {
        Identity from;
        receive(from, body);
        if (sent != 0) pair.took(Pair::now() - sent);
        if (!pair.answered(body[1], bench::expected_answer(body[0], pair.payload_bytes()))) return;
        submit(from);
    }
}

void run_slave(const Setup& setup) {
    void* const context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65'535);
    std::vector<zmq_pollitem_t> dealers;
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(setup.port);
    for (std::size_t i = 0; i < (setup.one_process ? setup.slaves : 1); ++i) {
        void* const dealer = zmq_socket(context, ZMQ_DEALER);
        unlimited(dealer);
        if (setup.secure) secure_slave(dealer);
        check(zmq_connect(dealer, endpoint.c_str()));
        const std::uint64_t here[2] = {};
        check(zmq_send(dealer, here, sizeof here, 0));
        dealers.push_back({dealer, 0, ZMQ_POLLIN, 0});
    }
    const auto execute_one = [&](void* dealer, int flags) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, dealer, flags) < 0) {
            if (zmq_errno() == EAGAIN) return false;
            check(-1);
        }
        const std::span<const char> body{static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message)};
        std::uint64_t answer[2];
        std::memcpy(answer, body.data(), sizeof answer[0]);
        answer[1] = bench::answer_to(answer[0], body.subspan(sizeof answer[0]));
        zmq_msg_close(&message);
        check(zmq_send(dealer, answer, sizeof answer, 0));
        return true;
    };
    if (dealers.size() == 1)
        for (;;) execute_one(dealers[0].socket, 0);
    for (;;) {
        check(zmq_poll(dealers.data(), static_cast<int>(dealers.size()), -1));
        for (const zmq_pollitem_t& each : dealers)
            if (each.revents & ZMQ_POLLIN)
                while (execute_one(each.socket, ZMQ_DONTWAIT)) continue;
    }
}

}  // namespace

int main(int argc, char** argv) {
    static_cast<void>(master_keys());  // before slaves are forked, which know one of them
    return bench::main(argc, argv, run_master, run_slave);
}
