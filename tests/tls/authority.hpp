#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <distwork/tls.hpp>

#include <cstdio>
#include <memory>
#include <string>

#include "support/catch.hpp"

// Keys and certificates, made by the test.

namespace tls_test {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

inline void write_pem(const std::string& path, auto write) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    REQUIRE(file);
    CHECK(write(file) == 1);
    std::fclose(file);
    ::chmod(path.c_str(), 0600);
}

/// Who issues certificates, and what a certificate says.
class Authority {
public:
    explicit Authority(std::string folder, const std::string& name)
        : folder_{std::move(folder)}, path_{folder_ + '/' + name + ".pem"} {
        certificate_ = make(name, key_.get(), 3600, -3600, {}, {}, true);
        write_pem(path_, [&](std::FILE* file) { return PEM_write_X509(file, certificate_.get()); });
    }

    struct Says {
        std::string usage;                   ///< "serverAuth", "clientAuth", both, or empty
        std::string name = "DNS:localhost";  ///< the subject's alternative name
        long until = 3600;                   ///< seconds from now
        long since = -3600;
    };

    /// Files with a certificate that this authority issued, a key, and the authority that their owner believes.
    distwork::Certificates issue(const std::string& name, const Says& says, const Authority* believed = nullptr) const {
        const Key key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
        const Certificate made = make(name, key.get(), says.until, says.since, says.usage, says.name, false);
        const std::string path = folder_ + '/' + name;
        write_pem(path + ".pem", [&](std::FILE* file) { return PEM_write_X509(file, made.get()); });
        write_pem(path + ".key", [&](std::FILE* file) {
            return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
        return {path + ".pem", path + ".key", (believed ? believed : this)->path_};
    }

private:
    Certificate make(const std::string& name, EVP_PKEY* key, long until, long since, const std::string& usage,
                     const std::string& names, bool is_authority) const {
        Certificate made{X509_new(), &X509_free};
        X509_set_version(made.get(), 2);
        static long serial = 0;
        ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(made.get()), since);
        X509_gmtime_adj(X509_getm_notAfter(made.get()), until);
        X509_set_pubkey(made.get(), key);
        X509_NAME* const subject = X509_get_subject_name(made.get());
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()),
                                   -1, -1, 0);
        X509* const issuer = is_authority ? made.get() : certificate_.get();
        X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
        const auto add = [&](int kind, const std::string& value) {
            X509V3_CTX context;
            X509V3_set_ctx(&context, issuer, made.get(), nullptr, nullptr, 0);
            X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
            REQUIRE(extension);
            X509_add_ext(made.get(), extension, -1);
            X509_EXTENSION_free(extension);
        };
        if (is_authority) add(NID_basic_constraints, "critical,CA:TRUE");
        if (!usage.empty()) add(NID_ext_key_usage, usage);
        if (!names.empty()) add(NID_subject_alt_name, names);
        REQUIRE(X509_sign(made.get(), key_.get(), EVP_sha256()) > 0);
        return made;
    }

    const std::string folder_;
    const std::string path_;
    const Key key_{EVP_EC_gen("P-256"), &EVP_PKEY_free};
    Certificate certificate_{nullptr, &X509_free};
};

}  // namespace tls_test
