#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../error.hpp"
#include "openssl.hpp"
#include "private_file.hpp"
#include "secret.hpp"

namespace distwork {

/// Files in PEM format by which an end shows who it is, and checks who the other end is.
///
/// The role stands in the certificate, as its extended key usage: a master's has `serverAuth`, a slave's `clientAuth`, and
/// one without any is refused. A slave that connects to a master by a host's name checks that the name stands in the
/// master's certificate.
struct Certificates {
    std::string certificate;  ///< of this end, then those between it and the authority, if there are any
    std::string key;          ///< of the certificate; the file must have no bits for others
    std::string authority;    ///< whose certificates are believed, and nobody else's
};

namespace detail {

/// The settings of OpenSSL for the connections of one pair of roles: TLS 1.3 and nothing older, both ends prove who they
/// are, and no connection leaves anything by which another one could be resumed.
class TlsContexts {
public:
    explicit TlsContexts(std::vector<Secret> secrets) : secrets_{std::move(secrets)} {
        if (secrets_.empty()) throw Error::with_text(Errc::bad_credentials, "there is no secret");
        for (SSL_CTX* const context : {master_.native_handle(), slave_.native_handle()}) {
            restrict(context);
            SSL_CTX_set_ex_data(context, own_index(), this);
            // The peer proves that it has the secret. A master that shows a certificate instead is not believed: there
            // is no authority.
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        }
        // OpenSSL asks for this where peers are verified and sessions might be resumed.
        const std::string_view own = "distwork";
        require(
            SSL_CTX_set_session_id_context(master_.native_handle(), reinterpret_cast<const unsigned char*>(own.data()),
                                           static_cast<unsigned>(own.size())),
            "a secret");
        SSL_CTX_set_psk_find_session_callback(master_.native_handle(), &find_secret);
        SSL_CTX_set_psk_use_session_callback(slave_.native_handle(), &use_secret);
    }

    explicit TlsContexts(const Certificates& files) {
        static_cast<void>(read_private_file(files.key, 1024 * 1024));
        for (SSL_CTX* const context : {master_.native_handle(), slave_.native_handle()}) {
            restrict(context);
            ERR_clear_error();
            SSL_CTX_set_default_passwd_cb(context, &no_password);
            require(SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()), files.certificate);
            require(SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM), files.key);
            require(SSL_CTX_check_private_key(context), files.key);
            require(SSL_CTX_load_verify_locations(context, files.authority.c_str(), nullptr), files.authority);
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        }
    }
    TlsContexts(const TlsContexts&) = delete;

    bool uses_secrets() const noexcept { return !secrets_.empty(); }

    /// Of a master's ends, and of a slave's.
    asio::ssl::context& of_master() const noexcept { return master_; }
    asio::ssl::context& of_slave() const noexcept { return slave_; }

    /// After the handshake: whether the other end is what it must be. A slave's end has addressed its master.
    bool is_proven(SSL* ssl, bool is_master) const noexcept {
        if (SSL_version(ssl) != TLS1_3_VERSION) return false;
        if (uses_secrets()) return SSL_session_reused(ssl) == 1;  // so OpenSSL calls it that a secret was used
        const std::unique_ptr<X509, decltype(&X509_free)> certificate{SSL_get1_peer_certificate(ssl), &X509_free};
        if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK || SSL_session_reused(ssl) != 0) return false;
        const auto usage = X509_get_extended_key_usage(certificate.get());  // all bits if it has none
        const auto wanted = is_master ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
        const auto other = is_master ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
        return (usage & static_cast<unsigned>(wanted)) != 0 && (usage & static_cast<unsigned>(other)) == 0;
    }

    /// The common name in the certificate of the other end; empty: it has none.
    std::string name_of(SSL* ssl) const {
        const std::unique_ptr<X509, decltype(&X509_free)> certificate{SSL_get1_peer_certificate(ssl), &X509_free};
        X509_NAME* const subject = certificate ? X509_get_subject_name(certificate.get()) : nullptr;
        const int at = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
        if (at < 0) return {};
        unsigned char* text = nullptr;
        const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
        const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner{
            text, [](unsigned char* bytes) { OPENSSL_free(bytes); }};
        return size > 0 ? std::string{reinterpret_cast<const char*>(text), static_cast<std::size_t>(size)}
                        : std::string{};
    }

private:
    static void restrict(SSL_CTX* context) {
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
        require(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"), "TLS_AES_128_GCM_SHA256");
        // Others cost up to a hundred times as much, for a hello that costs a stranger nothing (CVE-2002-20001, D(HE)at).
        require(SSL_CTX_set1_groups_list(context, "X25519:P-256"), "X25519:P-256");
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(context, 0);
        SSL_CTX_set_max_early_data(context, 0);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
        SSL_CTX_set_max_cert_list(context, 16 * 1024);
    }

    static void require(long result, const std::string& what) {
        if (result != 1) throw Error::with_text(Errc::bad_credentials, what + ": " + openssl_error());
    }

    static int no_password(char*, int, int, void*) { return 0; }

    static const TlsContexts& of(SSL* ssl) noexcept {
        return *static_cast<const TlsContexts*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), own_index()));
    }

    /// Where a context of OpenSSL refers to this object.
    static int own_index() noexcept {
        static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
        return index;
    }

    /// The state of a session that both ends would have if they had agreed on the secret before; null: no memory.
    static SSL_SESSION* session_of(SSL* ssl, const Secret& secret) noexcept {
        static constexpr unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};
        SSL_SESSION* const session = SSL_SESSION_new();
        const SSL_CIPHER* const cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
        if (session && cipher && SSL_SESSION_set1_master_key(session, secret.key().data(), secret.key().size()) == 1 &&
            SSL_SESSION_set_cipher(session, cipher) == 1 &&
            SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
            return session;
        SSL_SESSION_free(session);
        return nullptr;
    }

    /// At a master: the secret that the slave names. None: the handshake fails, as the master has no certificate.
    static int find_secret(SSL* ssl, const unsigned char* identity, std::size_t size, SSL_SESSION** session) {
        *session = nullptr;
        const std::string_view named{reinterpret_cast<const char*>(identity), size};
        for (const Secret& secret : of(ssl).secrets_)
            if (secret.identity() == named) return (*session = session_of(ssl, secret)) != nullptr;
        return 1;
    }

    static int use_secret(SSL* ssl, const EVP_MD* hash, const unsigned char** identity, std::size_t* size,
                          SSL_SESSION** session) {
        const Secret& secret = of(ssl).secrets_.front();
        *session = hash && EVP_MD_get_type(hash) != NID_sha256 ? nullptr : session_of(ssl, secret);
        *identity = reinterpret_cast<const unsigned char*>(secret.identity().data());
        *size = secret.identity().size();
        return *session != nullptr;
    }

    const std::vector<Secret> secrets_;  // empty: there are certificates
    mutable asio::ssl::context master_{asio::ssl::context::tls_server};
    mutable asio::ssl::context slave_{asio::ssl::context::tls_client};
};

}  // namespace detail
}  // namespace distwork
