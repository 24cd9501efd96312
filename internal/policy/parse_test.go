package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/internal/policy"
)

// The example of the design, whole.
const example = `version: 1
groups:
  treasurers: [treasurer-1, treasurer-2, treasurer-3]
books:
  exchanges:
    - {chain: bitcoin, address: bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq, name: Kraken deposit}
    - {chain: ethereum, address: 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed, name: Kraken deposit}
rules:
  - name: payouts
    who: [service:payouts]
    keys: [wallet:hot]
    do: [sign-transaction]
    chains: [ethereum]
    to: [book:exchanges]
    amount: {asset: ETH, max: "5"}
    window: {asset: ETH, per: 24h, max: "20"}
    then: allow
  - name: treasury
    who: [group:treasurers]
    keys: [wallet:treasury]
    do: [sign-transaction]
    then: {approvals: 2, of: treasurers, within: 48h}
change: {approvals: 2, of: all}
`

func TestExampleOfTheDesign(t *testing.T) {
	p := parse(t, example)
	if string(p.Text()) != example || !slices.Equal(p.Rules(), []string{"payouts", "treasury"}) {
		t.Errorf("got rules %v", p.Rules())
	}
	if p.MaxWindow() != 24*3_600_000 {
		t.Errorf("got longest window %d", p.MaxWindow())
	}
	if q, ok := p.Change(); !ok || q != (policy.Quorum{Approvals: 2, Of: "all"}) {
		t.Errorf("got change %+v", q)
	}
	want := []string{
		"payouts: service:payouts may sign-transaction with wallet:hot, on ethereum, to book:exchanges, for up to 5 ETH with the fee, and at most 20 ETH in 24h.",
		"treasury: group:treasurers may sign-transaction with wallet:treasury, after 2 approvals of treasurers within 48h.",
		"To change this policy takes 2 approvals of all.",
	}
	if got := p.Sentences(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestJSONIsReadToo(t *testing.T) {
	text := "{\n\t\"version\": 1,\n\t\"rules\": [{\n\t\t\"name\": \"solo\", \"who\": [\"operator\"], \"keys\": [\"any\"], \"do\": [\"any\"], \"then\": \"allow\"\n\t}]\n}\n"
	p := parse(t, text)
	if d := decide(t, p, ask(t, "operator", hot(), message(t)), nil); d.Outcome() != policy.Allowed {
		t.Error(reasons(d))
	}
}

// rule makes a policy of one good rule in which a line is replaced; "" drops it.
func rule(field, value string) string {
	lines := []string{"name: payouts", "who: [service:payouts]", "keys: [hot]", "do: [sign-transaction]", "then: allow"}
	out := lines[:0]
	for _, l := range lines {
		if !strings.HasPrefix(l, field+":") {
			out = append(out, l)
		}
	}
	if value != "" {
		out = append(out, field+": "+value)
	}
	return rules("  - " + strings.Join(out, "\n    ") + "\n")
}

func TestRefusalsNameRuleAndField(t *testing.T) {
	top := func(s string) string { return "version: 1\nrules: []\n" + s }
	cases := map[string][2]string{
		"empty":                  {"", "policy: empty"},
		"only comments":          {"# nothing\n", "policy: empty"},
		"not a mapping":          {"[1]", "policy: want a mapping of version"},
		"no version":             {"rules: []", "policy: version: is missing: begin with version: 1"},
		"another version":        {"version: 2\nrules: []", `policy: version: is "2", this keyward reads 1`},
		"a version as text":      {"version: \"1\"\nrules: []", `policy: version: is "1"`},
		"no rules":               {"version: 1", "policy: rules: is missing"},
		"unknown section":        {top("rule: []"), `policy: unknown field "rule": use version, groups`},
		"section twice":          {top("rules: []"), `policy: field "rules" stands twice`},
		"two documents":          {top("---\nversion: 1"), "policy: more than one document"},
		"anchor":                 {top("groups: {a: &x [b]}"), "policy: anchors and aliases are not allowed"},
		"alias":                  {"version: 1\ngroups: {a: &x [b], c: *x}\nrules: []", "policy: anchors and aliases are not allowed"},
		"merge":                  {top("groups: {<<: {a: [b]}}"), "policy: merge keys are not allowed"},
		"tag":                    {top("groups: {a: !!set [b]}"), "policy: tags are not allowed"},
		"not UTF-8":              {top("# \xff"), "policy: not UTF-8"},
		"byte order mark":        {"\ufeff" + top(""), "policy: begins with a byte order mark"},
		"too large":              {strings.Repeat("#", 1<<20+1), "policy: 1048577 bytes, at most 1048576"},
		"too deep":               {top("groups: " + strings.Repeat("[", 20) + strings.Repeat("]", 20)), "policy: nested too deeply"},
		"not YAML":               {"a: b: c", "policy: yaml: "},
		"empty section":          {top("groups:"), "policy: groups: want a mapping from names"},
		"rules as a mapping":     {"version: 1\nrules: {}", "policy: rules: want a list of rules"},
		"group name":             {top("groups: {Bad: [a]}"), `policy: group "Bad": name "Bad"`},
		"group name taken":       {top("groups: {all: [a]}"), `policy: group "all": the name "all" is taken`},
		"group twice":            {top("groups: {a: [b], a: [c]}"), `policy: groups: "a" stands twice`},
		"empty group":            {top("groups: {a: []}"), `policy: group "a": the list is empty`},
		"group member":           {top("groups: {a: [person:b]}"), `policy: group "a": unknown actor "person:b"`},
		"member twice":           {top("groups: {a: [b, b]}"), `policy: group "a": "b" stands twice`},
		"unknown inner group":    {top("groups: {a: [group:b]}"), `policy: group "a": unknown group "b"`},
		"group in itself":        {top("groups: {a: [group:b], b: [group:a]}"), `policy: group "a": contains itself by way of a, b`},
		"book entry field":       {top("books: {b: [{chain: ethereum, address: x, label: y}]}"), `policy: book "b", entry 1: unknown field "label"`},
		"book entry name":        {top("books: {b: [{chain: ethereum, address: \"" + alice + "\"}]}"), `policy: book "b", entry 1: name: is missing`},
		"book entry shown":       {top("books: {b: [{chain: ethereum, address: x, name: \"\\x1b[2J\"}]}"), `policy: book "b", entry 1: name: want at most 200 bytes of printable text`},
		"book chain":             {top("books: {b: [{chain: etherium, address: x, name: y}]}"), `policy: book "b", entry 1: chain: unknown chain "etherium"`},
		"book CAIP-2":            {top("books: {b: [{chain: \"eip155:0x1\", address: x, name: y}]}"), `policy: book "b", entry 1: chain: chain "eip155:0x1": what follows eip155:`},
		"book address":           {top("books: {b: [{chain: ethereum, address: 0x12, name: y}]}"), `policy: book "b", entry 1: address: "0x12" is not an Ethereum address`},
		"book checksum":          {top("books: {b: [{chain: ethereum, address: 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed, name: y}]}"), `wrong EIP-55 checksum`},
		"book address twice":     {top("books: {b: [{chain: ethereum, address: \"" + alice + "\", name: x}, {chain: \"eip155:1\", address: \"" + strings.ToLower(alice) + "\", name: y}]}"), `policy: book "b", entry 2: address: `},
		"asset without decimals": {top("assets: [{name: X, chain: ethereum, native: true}]"), `policy: asset "X": decimals: is missing`},
		"asset decimals":         {top("assets: [{name: X, chain: ethereum, native: true, decimals: 99}]"), `policy: asset "X": decimals: want a whole number from 0 to 36`},
		"asset native or token":  {top("assets: [{name: X, chain: ethereum, decimals: 9}]"), `policy: asset "X": give either the token's address or native: true`},
		"asset both":             {top("assets: [{name: X, chain: ethereum, native: true, address: \"" + token + "\", decimals: 9}]"), `policy: asset "X": give either the token's address or native: true`},
		"asset built in":         {top("assets: [{name: ETH, chain: sepolia, native: true, decimals: 18}]"), `policy: asset "ETH": ETH is built in`},
		"asset by another name":  {top("assets: [{name: X, chain: ethereum, native: true, decimals: 18}]"), `policy: asset "X": is the same as "ETH"`},
		"asset name":             {top("assets: [{name: \"X Y\", chain: ethereum, native: true, decimals: 18}]"), `policy: asset "X Y": name: want 1 to 32`},
		"token elsewhere":        {top("assets: [{name: X, chain: bitcoin, address: x, decimals: 8}]"), `policy: asset "X": address: tokens are known on eip155 chains only`},
		"change without group":   {top("change: {approvals: 2}"), "policy: change: of: is missing"},
		"change of nobody":       {top("change: {approvals: 2, of: x}"), `policy: change: of: unknown group "x"`},
		"change by itself":       {top("change: {approvals: 0, of: all}"), "policy: change: approvals: want a whole number from 1 to 100"},

		"rule without name":    {rule("name", ""), "policy: rule 1: name: is missing"},
		"rule name":            {rule("name", "Pay outs"), `policy: rule "Pay outs": name "Pay outs"`},
		"rule twice":           {rule("", "") + "  - {name: payouts, who: [any], keys: [any], do: [any], then: allow}\n", `policy: rule "payouts": stands twice`},
		"rule as text":         {rules("  - allow everything\n"), "policy: rule 1: want a mapping of name, who"},
		"no who":               {rule("who", ""), `policy: rule "payouts": who: is missing`},
		"no keys":              {rule("keys", ""), `policy: rule "payouts": keys: is missing`},
		"no do":                {rule("do", ""), `policy: rule "payouts": do: is missing`},
		"no then":              {rule("then", ""), `policy: rule "payouts": then: is missing`},
		"when":                 {rule("when", "amount < 5"), `policy: rule "payouts": when: is reserved for conditions in a later version`},
		"hours":                {rule("hours", "9-17"), `policy: rule "payouts": hours: want a mapping of zone, days, from, to`},
		"hours nowhere":        {rule("hours", "{from: '08:00', to: '18:00'}"), `policy: rule "payouts": hours: zone: is missing`},
		"hours somewhere":      {rule("hours", "{zone: Europe/Zürich, from: '08:00', to: '18:00'}"), `hours: zone: unknown time zone "Europe/Zürich"`},
		"hours of two words":   {rule("hours", "{zone: 'UTC UTC0', from: '08:00', to: '18:00'}"), `hours: zone: unknown time zone`},
		"hours without a rule": {rule("hours", "{zone: Africa/Casablanca, from: '08:00', to: '18:00'}"), `hours: zone: unknown time zone`},
		"hours of the system":  {rule("hours", "{zone: Local, from: '08:00', to: '18:00'}"), `hours: zone: unknown time zone "Local"`},
		"hours backwards":      {rule("hours", "{zone: UTC, from: '22:00', to: '06:00'}"), `hours: from 22:00 is not before to 06:00: hours across midnight take two rules`},
		"hours of 25":          {rule("hours", "{zone: UTC, from: '08:00', to: '24:01'}"), `hours: to: "24:01": want a time of the day`},
		"hours short":          {rule("hours", "{zone: UTC, from: 8:00, to: '18:00'}"), `hours: from: "8:00": want a time of the day`},
		"days":                 {rule("hours", "{zone: UTC, days: [monday], from: '08:00', to: '18:00'}"), `hours: days: "monday": want days such as mon, or mon-fri`},
		"days twice":           {rule("hours", "{zone: UTC, days: [mon-fri, fri], from: '08:00', to: '18:00'}"), `hours: days: fri stands twice`},
		"no days":              {rule("hours", "{zone: UTC, days: [], from: '08:00', to: '18:00'}"), `hours: days: the list is empty`},
		"seen":                 {rule("seen", "always"), `policy: rule "payouts": seen: want true or false`},
		"sighash":              {rule("sighash", "[all]"), `policy: rule "payouts": sighash: unknown sighash "all": use none, single, all|anyonecanpay`},
		"sighash with to":      {strings.Replace(rule("sighash", "[single]"), "then: allow", "to: [book:exchanges]\n    then: allow", 1), `policy: rule "payouts": sighash: a rule about sighash has no to, amount or seen`},
		"rate of ether":        {rule("fee", "{asset: ETH, rate: 5}"), `policy: rule "payouts": fee: rate: only the fees of Bitcoin are paid by size`},
		"rate of nothing":      {rule("fee", "{asset: BTC, rate: 0}"), `fee: rate: want the most satoshi for a virtual byte`},
		"rate too fine":        {rule("fee", "{asset: BTC, rate: 1.5}"), `fee: rate: want the most satoshi for a virtual byte`},
		"rate huge":            {rule("fee", "{asset: BTC, rate: 1000001}"), `fee: rate: want the most satoshi for a virtual byte`},
		"rate denied":          {"version: 1\nrules: [{name: r, who: [any], keys: [any], do: [any], fee: {asset: BTC, rate: 5}, then: deny}]", `policy: rule "r": fee: a rule that denies has no rate`},
		"rate of an amount":    {rule("amount", "{asset: BTC, rate: 5}"), `policy: rule "payouts": amount: unknown field "rate"`},
		"sat too fine":         {rule("amount", "{asset: sat, max: '0.5'}"), `"0.5" has more than 0 decimals`},
		"BTC too fine":         {rule("amount", "{asset: BTC, max: '0.000000001'}"), `has more than 8 decimals`},
		"BTC declared":         {top("assets: [{name: tBTC, chain: bitcoin, native: true, decimals: 8}]"), `policy: asset "tBTC": is the same as "BTC"`},
		"key path of others":   {rule("keys", "[\"seed/m/84'\"]"), `policy: rule "payouts": keys: "seed/m/84'": write the path as m/84h`},
		"key path form":        {rule("keys", "[\"seed/m/084h\"]"), `policy: rule "payouts": keys: path "m/084h"`},
		"key path without m":   {rule("keys", "[seed/84h/0h/5h]"), `policy: rule "payouts": keys: path "84h/0h/5h": it does not begin with m`},
		"key glob without m":   {rule("keys", "[seed/84h/*]"), `policy: rule "payouts": keys: path "84h": it does not begin with m`},
		"key glob of others":   {rule("keys", "[seed/m/84h/00h/*]"), `policy: rule "payouts": keys: path "m/84h/00h"`},
		"key path of itself":   {rule("keys", "[seed/m]"), `policy: rule "payouts": keys: "seed/m": that is the key itself: write seed`},
		"book of bitcoin":      {top("books: {b: [{chain: bitcoin, address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5, name: y}]}"), `wrong checksum: a character was mistyped`},
		"who as text":          {rule("who", "operator"), `policy: rule "payouts": who: want a list: [operator]`},
		"who empty":            {rule("who", "[]"), `policy: rule "payouts": who: the list is empty`},
		"who bare":             {rule("who", "[ann]"), `policy: rule "payouts": who: unknown actor "ann": use operator, service:NAME`},
		"who unknown group":    {rule("who", "[group:x]"), `policy: rule "payouts": who: unknown group "x": declare it under groups`},
		"who any and more":     {rule("who", "[any, operator]"), `policy: rule "payouts": who: any includes the others`},
		"who null":             {rule("who", "[~]"), `policy: rule "payouts": who: want a text: put "~" in quotes`},
		"key id":               {rule("keys", "[key_01j00000000000000000000000]"), `policy: rule "payouts": keys: name "key_01j00000000000000000000000": must not begin with key_`},
		"key star":             {rule("keys", "[\"*\"]"), `policy: rule "payouts": keys: "*": write any`},
		"key star inside":      {rule("keys", "[\"h*t\"]"), `policy: rule "payouts": keys: name "h*t"`},
		"key path":             {rule("keys", "[\"seed/\"]"), `policy: rule "payouts": keys: "seed/": want NAME/path`},
		"key half step":        {rule("keys", "[\"seed/m/8*\"]"), `policy: rule "payouts": keys: "seed/m/8*": a * in a path stands for whole steps`},
		"verb":                 {rule("do", "[sign-everything]"), `policy: rule "payouts": do: unknown verb "sign-everything": use sign, sign-transaction`},
		"verb beside any":      {rule("do", "[any, sign]"), `policy: rule "payouts": do: any includes sign`},
		"chain":                {rule("chains", "[mainnet]"), `policy: rule "payouts": chains: unknown chain "mainnet"`},
		"chain twice":          {rule("chains", "[ethereum, \"eip155:1\"]"), `policy: rule "payouts": chains: eip155:1 stands twice`},
		"to unknown book":      {rule("to", "[book:x]"), `policy: rule "payouts": to: unknown book "x": declare it under books`},
		"to checksum":          {rule("to", "[\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed\"]"), `policy: rule "payouts": to: address 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed: wrong EIP-55 checksum`},
		"to without chain":     {rule("to", "[bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq]"), `put addresses of other chains into a book`},
		"to twice":             {rule("to", "[\""+alice+"\", \""+strings.ToLower(alice)+"\"]"), `policy: rule "payouts": to: 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed stands twice`},
		"unknown asset":        {rule("amount", "{asset: DAI, max: 5}"), `policy: rule "payouts": amount: unknown asset "DAI": declare it under assets`},
		"amount float":         {rule("amount", "{asset: ETH, max: 0.5}"), `policy: rule "payouts": amount: max: write the amount in quotes, such as "0.05"`},
		"amount exponent":      {rule("amount", "{asset: ETH, max: \"1e18\"}"), `policy: rule "payouts": amount: max: amount "1e18" is not a plain decimal number`},
		"amount hexadecimal":   {rule("amount", "{asset: ETH, max: 0x10}"), `policy: rule "payouts": amount: max: amount "0x10" is not a plain decimal number`},
		"amount octal":         {rule("amount", "{asset: ETH, max: 010}"), `policy: rule "payouts": amount: max: amount "010": leading zeros`},
		"amount underscore":    {rule("amount", "{asset: ETH, max: 1_000}"), `amount "1_000" is not a plain decimal number`},
		"amount negative":      {rule("amount", "{asset: ETH, max: -1}"), `amount "-1" is not a plain decimal number`},
		"amount no digits":     {rule("amount", "{asset: ETH, max: \".5\"}"), `amount ".5" is not a plain decimal number`},
		"amount too fine":      {rule("amount", "{asset: USDC, max: \"0.0000001\"}"), `policy: rule "payouts": amount: max: amount "0.0000001" has more than 6 decimals`},
		"amount too large":     {rule("amount", "{asset: ETH, max: \"1"+strings.Repeat("0", 60)+"\"}"), `does not fit into 256 bits`},
		"amount crossed":       {rule("amount", "{asset: ETH, min: 6, max: 5}"), `policy: rule "payouts": amount: min 6 ETH is over max 5 ETH`},
		"fee field":            {rule("fee", "{asset: ETH, most: 5}"), `policy: rule "payouts": fee: unknown field "most"`},
		"window span":          {rule("window", "{asset: ETH, per: 24, max: 5}"), `policy: rule "payouts": window: per: want a time such as 30m, 24h or 7d, at most 366d`},
		"window too long":      {rule("window", "{asset: ETH, per: 999d, max: 5}"), `policy: rule "payouts": window: per: want a time`},
		"window without max":   {rule("window", "{asset: ETH, per: 1d}"), `policy: rule "payouts": window: max: is missing`},
		"second window":        {rule("window", "[{asset: ETH, per: 1d, max: 5}, {asset: DAI, per: 1d, max: 5}]"), `policy: rule "payouts": window 2: unknown asset "DAI"`},
		"window over":          {rule("window", "{asset: ETH, per: 1d, max: 5, over: allow}"), `policy: rule "payouts": window: over: want deny, or a mapping`},
		"window over nobody":   {rule("window", "{asset: ETH, per: 1d, max: 5, over: {approvals: 1, of: x}}"), `policy: rule "payouts": window: over: of: unknown group "x"`},
		"then word":            {rule("then", "maybe"), `policy: rule "payouts": then: is "maybe": use allow, deny, or a mapping`},
		"then empty":           {rule("then", "{}"), `policy: rule "payouts": then: approvals: is missing`},
		"then approvals":       {rule("then", "{approvals: 1.5, of: treasurers}"), `policy: rule "payouts": then: approvals: want a whole number`},
		"then of all":          {rule("then", "{approvals: 1, of: all}"), `policy: rule "payouts": then: of: unknown group "all"`},
		"then of is missing":   {rule("then", "{approvals: 1}"), `policy: rule "payouts": then: of: is missing`},
		"then within":          {rule("then", "{approvals: 1, of: treasurers, within: soon}"), `policy: rule "payouts": then: within: want a time`},
		"then initiator":       {rule("then", "{approvals: 1, of: treasurers, initiator_counts: 1}"), `policy: rule "payouts": then: initiator_counts: want true or false`},
		"denial with a window": {strings.Replace(rule("window", "{asset: ETH, per: 1d, max: 5}"), "then: allow", "then: deny", 1), `policy: rule "payouts": window: a rule that denies has no window`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Parse([]byte(c[0]))
			if err == nil {
				t.Fatalf("accepted:\n%s", c[0])
			}
			if got := err.Error(); !strings.HasPrefix(got, c[1]) && !(strings.HasPrefix(got, "policy: ") && strings.Contains(got, c[1])) {
				t.Errorf("got  %s\nwant %s", got, c[1])
			}
		})
	}
}

func TestErrorNamesTheLine(t *testing.T) {
	_, err := policy.Parse([]byte("version: 1\nrules:\n  - name: a\n    who: [any]\n    keys: [any]\n    do: [fly]\n    then: allow\n"))
	if err == nil || !strings.HasSuffix(err.Error(), "(line 6)") {
		t.Errorf("got %v, want line 6", err)
	}
}

// What is built to be slow is refused, or read, in bounded time.
func TestHostileTextIsBounded(t *testing.T) {
	const size = 1 << 20
	for name, text := range map[string]string{
		"brackets": strings.Repeat("[", size), "dashes": strings.Repeat("- ", size/2), "questions": strings.Repeat("? ", size/2),
		"deep list": strings.Repeat("[", 9990) + strings.Repeat("a,", 400_000), "wide list": "groups: {a: [" + strings.Repeat("b,", 400_000) + "]}",
		"many rules":  "version: 1\nrules:\n" + strings.Repeat("- {}\n", 200_000),
		"many groups": "version: 1\nrules: []\ngroups: {" + strings.Repeat("a: [b],", 100_000) + "}",
	} {
		start := time.Now()
		if _, err := policy.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
}

func TestGroupsInGroups(t *testing.T) {
	p := parse(t, `version: 1
groups:
  board: [ann, group:treasurers]
  treasurers: [ben, service:payouts, group:deputies]
  deputies: [cleo, ann]
rules:
  - {name: r, who: [group:board], keys: [any], do: [any], then: {approvals: 2, of: board}}
`)
	for _, who := range []string{"member:ann", "member:ben", "member:cleo", "service:payouts"} {
		d := decide(t, p, ask(t, who, hot(), message(t)), nil)
		if d.Outcome() != policy.Asks || !slices.Equal(d.Needs()[0].Members, []string{"member:ann", "member:ben", "member:cleo"}) {
			t.Errorf("%s: got %s", who, reasons(d))
		}
	}
	if d := decide(t, p, ask(t, "member:dan", hot(), message(t)), nil); d.Outcome() != policy.Denied {
		t.Error(reasons(d))
	}
}
