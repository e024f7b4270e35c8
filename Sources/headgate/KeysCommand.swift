import ArgumentParser
import Audit
import Gateway
import Payloads

struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "The keys of issuers, and of the audit log.",
        subcommands: [Generate.self, List.self])

    struct Generate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new key, in a file that only you can read.",
            discussion: """
                For an issuer of commands: writes NAME.jwk (a JSON Web Key, mode 0600) for whoever signs, and prints what the site
                file needs. With --hs256 a shared secret: the gateway needs the same file.

                With --audit the key with which gateway NAME signs its audit log: audit.key and audit.pub, in its state folder. A
                gateway makes its own at its first start; prints the public key for headgate audit verify --key.

                Exit code 1 when the file is there already, or cannot be written.
                """)

        @Argument(help: "Key id (kid) of the issuer, or with --audit the id of the gateway.")
        var name: String

        @Option(name: [.short, .long], help: "Folder of the file.")
        var out = "."

        @Flag(name: .customLong("hs256"), help: "A shared secret for HMAC with SHA-256 instead of an Ed25519 key.")
        var isShared = false

        @Flag(name: .customLong("audit"), help: "The key of an audit log.")
        var isForAudit = false

        func validate() throws {
            if isShared, isForAudit { throw ValidationError("an audit log is signed with Ed25519, not --hs256") }
        }

        func run() throws {
            do {
                if isForAudit {
                    let signer = try AuditKey.create(folder: out, gateway: name)
                    Console.data(Array(signer.verifier.description.utf8))
                    return Console.talk("wrote \(out)/\(AuditKey.fileName) and \(out)/\(AuditKey.publicFileName)")
                }
                let key = isShared ? try JSONWebKey(hs256: name) : try JSONWebKey(ed25519: name)
                let path = "\(out)/\(name)\(KeyFiles.suffix)"
                try KeyFiles.create(path, key.json + [0x0A])
                Console.data(Array((key.verifying.siteText ?? path).utf8))
                Console.talk("wrote \(path)")
            } catch {
                Console.talk("headgate: \(error)")
                throw ExitCode(1)
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the key files of a folder: key id, algorithm, public key.",
            discussion: "Exit code 1 when one cannot be used, or is a secret that others can read.")

        @Argument(help: "The folder.")
        var folder = "."

        func run() throws {
            var hasTrouble = false
            do {
                for entry in try KeyFiles.list(folder) {
                    if let key = entry.key {
                        let words = [key.keyID, key.algorithm, key.verifying.siteText ?? "shared secret", entry.path]
                        Console.data(Array(words.joined(separator: "\t").utf8))
                    } else {
                        hasTrouble = true
                        Console.talk("headgate: \(entry.trouble ?? entry.path)")
                    }
                }
            } catch {
                hasTrouble = true
                Console.talk("headgate: \(error)")
            }
            if hasTrouble { throw ExitCode(1) }
        }
    }
}
