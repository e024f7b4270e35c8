@main struct Headgate { static func main() {} }
