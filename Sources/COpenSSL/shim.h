#pragma once
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

/* What OpenSSL offers as macros, which Swift does not import. */

static inline void hg_tls_prepare(SSL_CTX *context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static inline int hg_tls_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

/* Takes over the certificate. */
static inline int hg_tls_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add0_chain_cert(context, certificate);
}

static inline int hg_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

/* The alternative names of a certificate: host names and addresses. */
static inline void hg_general_names_free(struct stack_st_GENERAL_NAME *names) { GENERAL_NAMES_free(names); }

static inline int hg_general_name_count(const struct stack_st_GENERAL_NAME *names) {
    return sk_GENERAL_NAME_num(names);
}

/* Bytes of the text, 0 for a name that is neither a host name nor an address. */
static inline int hg_general_name_text(const struct stack_st_GENERAL_NAME *names, int index, char *text, int size) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    if (name->type == GEN_DNS) {
        const ASN1_IA5STRING *host = name->d.dNSName;
        int length = ASN1_STRING_length(host);
        if (length <= 0 || length >= size) return 0;
        memcpy(text, ASN1_STRING_get0_data(host), (size_t)length);
        text[length] = 0;
        return length;
    }
    if (name->type != GEN_IPADD) return 0;
    int length = ASN1_STRING_length(name->d.iPAddress);
    int family = length == 4 ? AF_INET : length == 16 ? AF_INET6 : 0;
    if (family == 0 || !inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text, (socklen_t)size)) return 0;
    return (int)strlen(text);
}
