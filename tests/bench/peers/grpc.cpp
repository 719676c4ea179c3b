// gRPC: one bidirectional stream for each slave, the synchronous interface. The master is the server. Secure: TLS,
// with certificates at both ends.
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../support/pair.hpp"
#include "bench.grpc.pb.h"

namespace {

using bench::Pair;
using bench::Setup;
constexpr int most_bytes = 64 << 20;

class Works final : public bench::Works::Service {
public:
    explicit Works(Pair& pair) : pair_{pair} {}

    grpc::Status Serve(grpc::ServerContext*, grpc::ServerReaderWriter<bench::Work, bench::Answer>* stream) override {
        await_others();
        double sent = 0;
        bench::Work work;
        const auto submit = [&](std::uint64_t id) {
            if (pair_.in_flight() == 1) sent = Pair::now();
            work.set_id(id);
            work.mutable_payload()->resize(pair_.payload_bytes());
            bench::fill_payload(id, {work.mutable_payload()->data(), work.payload().size()});
            stream->Write(work);
        };
        std::uint64_t next = 0;
        for (std::size_t i = 0; i < pair_.setup.window; ++i) submit(next++);
        bench::Answer answer;
        while (stream->Read(&answer)) {
            if (sent != 0) pair_.took(Pair::now() - sent);
            {
                const std::lock_guard lock{mutex_};
                if (pair_.done()) break;
                if (!pair_.answered(answer.value(), bench::expected_answer(answer.id(), pair_.payload_bytes()))) {
                    changed_.notify_all();
                    break;
                }
            }
            submit(next++);
        }
        return grpc::Status::OK;
    }

    void await_end() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return pair_.done(); });
    }

private:
    void await_others() {
        std::unique_lock lock{mutex_};
        if (++connected_ == pair_.setup.slaves) pair_.begin(), changed_.notify_all();
        changed_.wait(lock, [this] { return connected_ == pair_.setup.slaves; });
    }

    Pair& pair_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t connected_ = 0;
};

/// One certificate for all, of an elliptic curve as is usual; each end shows it and checks the other's against it.
struct Certificate {
    std::string key;
    std::string text;
    Certificate() {
        const std::string folder = "/tmp/distwork-bench-" + std::to_string(getpid());
        const std::string command = "mkdir -p " + folder +
                                    " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
                                    " -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
                                    folder + "/key -out " + folder + "/certificate 2> /dev/null";
        if (std::system(command.c_str()) != 0) throw std::runtime_error{"openssl cannot make a certificate"};
        key = content(folder + "/key");
        text = content(folder + "/certificate");
        std::filesystem::remove_all(folder);
    }
    static std::string content(const std::string& file) {
        std::ifstream in{file};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
    static const Certificate& of_all() {
        static const Certificate certificate;
        return certificate;
    }
};

std::shared_ptr<grpc::ServerCredentials> server_credentials(bool secure) {
    if (!secure) return grpc::InsecureServerCredentials();
    const Certificate& own = Certificate::of_all();
    grpc::SslServerCredentialsOptions options{GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY};
    options.pem_root_certs = own.text;
    options.pem_key_cert_pairs.push_back({own.key, own.text});
    return grpc::SslServerCredentials(options);
}
std::shared_ptr<grpc::ChannelCredentials> channel_credentials(bool secure) {
    if (!secure) return grpc::InsecureChannelCredentials();
    const Certificate& own = Certificate::of_all();
    return grpc::SslCredentials({own.text, own.key, own.text});
}

void run_master(Pair& pair) {
    Works works{pair};
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", server_credentials(pair.setup.secure), &port);
    builder.RegisterService(&works);
    builder.SetMaxReceiveMessageSize(most_bytes);
    const auto server = builder.BuildAndStart();
    pair.listening(static_cast<std::uint16_t>(port));
    works.await_end();
}

void run_slave(const Setup& setup) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(most_bytes);
    const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(setup.port),
                                                   channel_credentials(setup.secure), arguments);
    const auto stub = bench::Works::NewStub(channel);
    grpc::ClientContext context;
    const auto stream = stub->Serve(&context);
    bench::Work work;
    bench::Answer answer;
    while (stream->Read(&work)) {
        answer.set_id(work.id());
        answer.set_value(bench::answer_to(work.id(), work.payload()));
        stream->Write(answer);
    }
}

}  // namespace

int main(int argc, char** argv) {
    static_cast<void>(Certificate::of_all());  // before slaves are forked, which have the same
    return bench::main(argc, argv, run_master, run_slave);
}
