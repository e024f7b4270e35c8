import Audit
import GatewayTesting
import Testing

@Suite struct NoteTests {
    /// The example of the Go package `golang.org/x/mod/sumdb/note`, whose format C2SP took over.
    static let publishedKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    static let publishedNote = """
        If you think cryptography is the answer to your problem,
        then you don't know what your problem is.

        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

        """

    @Test func aPublishedNoteVerifies() throws {
        let key = try NoteVerifier(Self.publishedKey)
        #expect(key.description == Self.publishedKey)
        let note = try SignedNote(Array(Self.publishedNote.utf8))
        #expect(try note.verified(by: [key]) == [key])
        #expect(note.bytes == Array(Self.publishedNote.utf8))
    }

    @Test func everyFlippedBitOfANoteIsFound() async throws {
        let key = try NoteVerifier(Self.publishedKey)
        let bytes = Array(Self.publishedNote.utf8)
        for index in bytes.indices {
            await Task.yield()
            for bit in 0..<8 {
                var flipped = bytes
                flipped[index] ^= 1 << UInt8(bit)
                #expect(throws: SignedNote.Problem.self, "byte \(index), bit \(bit)") {
                    _ = try SignedNote(flipped).verified(by: [key])
                }
            }
        }
    }

    @Test func keysComeBackFromTheirText() throws {
        let signer = try NoteSigner(name: "headgate/v1/gw-07/audit")
        #expect(try NoteSigner(signer.text).verifier == signer.verifier)
        #expect(try NoteVerifier(signer.verifier.description) == signer.verifier)
        #expect(signer.text.hasPrefix("PRIVATE+KEY+headgate/v1/gw-07/audit+"))
        #expect(throws: KeyProblem.self) { try NoteSigner(name: "with space") }
        #expect(throws: KeyProblem.self) { try NoteSigner(name: "with+plus") }
        #expect(throws: KeyProblem.self) {
            try NoteVerifier("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
        }
        #expect(throws: KeyProblem.self) { try NoteVerifier(signer.text) }
    }

    @Test func checkpointsComeBackAsTheyWereSigned() throws {
        let signer = try NoteSigner(name: "gw")
        let checkpoint = Checkpoint(origin: "gw", size: 20_852_163, root: .leaf([1]))
        let note = try SignedNote(try checkpoint.signed(by: signer).bytes)
        #expect(try note.verified(by: [signer.verifier]).count == 1)
        #expect(try Checkpoint(text: note.text) == checkpoint)
    }

    @Test func strangersAreIgnoredAndNoneIsTrusted() throws {
        let (signer, stranger) = (try NoteSigner(name: "gw"), try NoteSigner(name: "gw"))
        let note = try Checkpoint(origin: "gw", size: 1, root: .leaf([1])).signed(by: signer)
        let foreign = try Checkpoint(origin: "gw", size: 1, root: .leaf([1])).signed(by: stranger)
        #expect(throws: SignedNote.Problem.self) { try note.verified(by: [stranger.verifier]) }
        let signatureLine = foreign.bytes.dropFirst(foreign.text.utf8.count + 1)
        let both = try SignedNote(note.bytes + signatureLine)
        #expect(try both.verified(by: [signer.verifier]) == [signer.verifier])
        #expect(try both.verified(by: [signer.verifier, stranger.verifier]).count == 2)
    }

    @Test(arguments: [
        "gw\n1\n", "gw\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "gw\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "gw\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n", "gw\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",
        "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", "gw\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "gw\n18446744073709551616\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    ])
    func whatIsNoCheckpointIsRefused(text: String) {
        #expect(throws: SignedNote.Problem.self) { try Checkpoint(text: text) }
    }

    @Test func junkIsRefusedAndNeverCrashes() async throws {
        var random = SeededGenerator(5)
        let seed = Array(Self.publishedNote.utf8)
        for round in 0..<20_000 {
            if round % 100 == 0 { await Task.yield() }
            var bytes = seed
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = .random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                case _: bytes.insert(0x0A, at: index)
                }
            }
            if let note = try? SignedNote(bytes) { #expect((try? SignedNote(note.bytes)) == note) }
        }
    }
}

@Suite struct Base64Tests {
    @Test func everyLengthComesBackAndEveryOtherTextIsRefused() {
        for length in 0...70 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
            for form in [Base64.standard, .url] {
                let text = form.encode(bytes)
                #expect(form.decode(text) == bytes)
                #expect(form.decode(text + "=") == nil)
                #expect(form.decode(text + "\n") == nil)
                #expect(form.decode(text + "A") == nil || form == .url)
            }
        }
    }

    @Test(arguments: ["QQ", "QR==", "Q===", "QQ=", "Q", "QUE", "QUF=", "QU E", "QQ==QQ==", "-_8="])
    func standardRefuses(text: String) {
        #expect(Base64.standard.decode(text) == nil)
    }

    @Test(arguments: ["QR", "QUF", "Q", "QQ==", "+/8", "Q Q"])
    func urlRefuses(text: String) {
        #expect(Base64.url.decode(text) == nil)
    }

    @Test func theVectorsOfTheRFCHold() {
        let pairs = [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ]
        for (plain, text) in pairs { #expect(Base64.standard.encode(Array(plain.utf8)) == text) }
        #expect(Base64.url.encode([0xFB, 0xFF]) == "-_8")
    }
}

@Suite struct SealTests {
    @Test func sealsComeBackAndNothingElseIsOne() {
        let seal = Seal(
            time: 1_795_218_067_105_000, first: 17,
            changes: [
                Seal.Change(kind: "command", key: "0193a1c4", hash: .digest([1])),
                Seal.Change(kind: "slot", key: "chiller1/chw_setpoint", hash: nil),
            ])
        #expect(Seal(leaf: seal.leaf) == seal)
        #expect(Seal.isSeal(seal.leaf))
        #expect(Seal(leaf: seal.leaf.dropLast()) == nil)
        #expect(Seal(leaf: Array("{}".utf8)) == nil)
        #expect(Seal(leaf: seal.leaf + Array("set a b c\n".utf8)) == nil)
        #expect(!Seal.isWord("two words") && !Seal.isWord("") && !Seal.isWord("line\n") && Seal.isWord("a/b-c"))
    }
}
