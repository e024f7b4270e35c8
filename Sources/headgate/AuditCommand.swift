import ArgumentParser
import Gateway
import Model

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "The audit log: verify it, export it.",
        subcommands: [Verify.self, Export.self])

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check every entry, checkpoint and record, offline.",
            discussion: """
                Finds any entry that was changed, removed, added or moved since a checkpoint was signed over it, and any record that
                says something else than the entries. Works on a ledger, also while a gateway runs, and on an export.

                Entries behind the last checkpoint are told as not signed. Whoever owns the machine can sign another history: keep
                checkpoints elsewhere (the gateway publishes them, retained) and give them with --checkpoint.

                Exit code 0 when everything holds, 1 when not.
                """)

        @Argument(help: "State folder, ledger, or export; the state folder of the site file when it is left out.")
        var source: String?

        @OptionGroup var site: SiteOption

        @Option(help: "Public key NAME+HASH+BASE64 of the log, or the file that holds it; may be repeated.")
        var key: [String] = []

        @Option(help: "File with a checkpoint that was kept elsewhere; may be repeated.")
        var checkpoint: [String] = []

        @Flag(help: "Print one JSON document.")
        var json = false

        func run() throws {
            let source = try self.source ?? site.site().gateway.stateFolder
            let report: AuditReport
            do {
                report = try AuditReport(path: source, keys: key, checkpoints: checkpoint)
            } catch {
                Console.talk("headgate: \(AuditReport.words(error))")
                throw ExitCode(1)
            }
            Console.data(json ? report.json : Array(report.text.utf8))
            if !report.isSound { throw ExitCode(1) }
        }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the audit log with everything that somebody needs to verify it with other tools.",
            discussion: """
                JSON lines: first {"schema":"audit/1",...}, then each entry as {"leaf":INDEX,"text":...} (base64 where it is not
                UTF-8) and each checkpoint as {"checkpoint":SIZE,"note":...}. The hash of an entry is SHA-256 over 0x00 and its
                bytes, of a node over 0x01 and both children (RFC 6962); notes are those of https://c2sp.org/tlog-checkpoint. Of a
                part, each entry comes with its inclusion proof.
                """)

        @Argument(help: "State folder or ledger; the state folder of the site file when it is left out.")
        var source: String?

        @OptionGroup var site: SiteOption

        enum Format: String, ExpressibleByArgument, CaseIterable { case jsonl }

        @Option(help: "Format of the output.")
        var format = Format.jsonl

        @Option(help: "First entry: an index, or a time such as 2026-11-20T23:40:00Z.")
        var from: String?

        @Option(help: "First entry that is left out: an index, or a time.")
        var to: String?

        func run() throws {
            let (from, to) = (try bound(self.from, "--from"), try bound(self.to, "--to"))
            let source = try self.source ?? site.site().gateway.stateFolder
            do {
                try AuditExport(path: source, from: from, to: to).write { Console.data($0) }
            } catch {
                Console.talk("headgate: \(AuditReport.words(error))")
                throw ExitCode(1)
            }
        }

        private func bound(_ text: String?, _ option: String) throws -> AuditExport.Bound? {
            guard let text else { return nil }
            guard let bound = AuditExport.Bound(text) else {
                throw ValidationError("\(option) '\(text)' is neither an index nor a time such as 2026-11-20T23:40:00Z")
            }
            return bound
        }
    }
}
