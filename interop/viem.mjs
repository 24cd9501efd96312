// Answers questions about signatures with viem: a JSON list on stdin, a JSON
// list of answers on stdout, in the same order.
//
//   {"message": "0x…", "signature": "0x…"}   who signed this message (EIP-191)?
//   {"transaction": "0x…"}                   what is this signed transaction, and whose?
//   {"typed": {…}, "signature": "0x…"}       who signed these typed data (EIP-712)?
import { hashMessage, hashTypedData, keccak256, parseTransaction, recoverMessageAddress, recoverTransactionAddress, recoverTypedDataAddress } from 'viem'

// numbers makes BigInts of what is a number by its type, in whatever form it came.
function numbers(types, type, value) {
  const array = /^(.*)\[\d*\]$/.exec(type)
  if (array) return value.map((v) => numbers(types, array[1], v))
  if (types[type]) return Object.fromEntries(types[type].map((m) => [m.name, numbers(types, m.type, value[m.name])]))
  if (!/^u?int/.test(type)) return value
  return String(value).startsWith('-') ? -BigInt(String(value).slice(1)) : BigInt(value)
}

async function answer({ message, signature, transaction, typed }) {
  if (typed !== undefined) {
    const { types, primaryType } = typed
    const data = {
      types, primaryType,
      domain: numbers(types, 'EIP712Domain', typed.domain),
      message: numbers(types, primaryType, typed.message),
    }
    return { from: await recoverTypedDataAddress({ ...data, signature }), hash: hashTypedData(data) }
  }
  if (transaction !== undefined) {
    const t = parseTransaction(transaction)
    return {
      from: await recoverTransactionAddress({ serializedTransaction: transaction }),
      hash: keccak256(transaction),
      chainId: t.chainId ?? 0,
      nonce: t.nonce ?? 0,
      to: t.to ?? '',
      value: String(t.value ?? 0n),
      data: t.data ?? '0x',
    }
  }
  return {
    from: await recoverMessageAddress({ message: { raw: message }, signature }),
    hash: hashMessage({ raw: message }),
  }
}

let text = ''
for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk
const answers = []
for (const question of JSON.parse(text)) answers.push(await answer(question))
process.stdout.write(JSON.stringify(answers))
