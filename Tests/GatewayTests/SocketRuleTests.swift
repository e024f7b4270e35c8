import Engine
import Model
import Testing

@testable import Gateway

/// Which account speaks for whom at the local socket.
@Suite struct SocketRuleTests {
    private static let anna = LocalAccount(userID: 1000, userName: "anna")
    private static let ben = LocalAccount(userID: 1001, userName: "ben")
    private static let root = LocalAccount(userID: 0, userName: "root")
    private static let own = LocalAccount(userID: 990, userName: "headgate")
    private static let key = Issuer.Key.ed25519([1])

    @Test(
        arguments: [
            (key, nil, anna, true), (key, nil, ben, false), (key, nil, root, true), (key, nil, own, true),
            (key, [], anna, false), (key, [], root, false), (key, ["ben"], ben, true), (key, ["1001"], ben, true),
            (key, ["ben"], root, false), (.none, nil, ben, true), (.none, ["anna"], ben, false),
        ] as [(Issuer.Key, [String]?, LocalAccount, Bool)])
    func aKeyedNameIsNotForEveryAccount(key: Issuer.Key, accounts: [String]?, account: LocalAccount, mayIt: Bool) {
        let issuer = Issuer(name: "anna", key: key, category: .operator, accounts: accounts)
        #expect((SocketRule.objection(to: account, speakingFor: issuer, ownUserID: 990) == nil) == mayIt)
    }
}
