import Model
import Profiles
import Testing

/// What `headgate profile show --json` says.
@Suite struct ProfileDocumentTests {
    @Test func copiesAndDefaultsAreWrittenOut() throws {
        let profile = try #require(try ProfileText.load(RepeatTests.feeders).profile)
        let points = ProfileDocument(profile).value["points"]
        let current = try #require(points?["feeder3_current"])
        #expect(
            String(decoding: current.bytes, as: UTF8.self)
                == #"{"table":"holding","address":121,"count":1,"type":"int16","order":"AB","scale_from":{"exponent":"#
                + #""feeder3_own_exponent"},"unit":"A","kind":"measurement","datatype":"float64","every_ms":5000,"#
                + #""description":"Feeder 3"}"#)
        #expect(points?["feeder2_limit"]?["write"]?["address"] == .integer(310))
    }

    @Test func everyShippedProfileHasADocument() {
        let library = ProfileLibrary(folders: [ConfigurationTests.shipped])
        for (id, _) in library.files {
            guard let profile = library.load(id).value else { continue }
            #expect(ProfileDocument(profile).value["points"]?.members.count == profile.points.count)
        }
    }
}
