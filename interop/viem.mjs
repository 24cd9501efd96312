// Answers questions about signatures with viem: a JSON list on stdin, a JSON
// list of answers on stdout, in the same order.
//
//   {"message": "0x…", "signature": "0x…"}   who signed this message (EIP-191)?
//   {"transaction": "0x…"}                   what is this signed transaction, and whose?
import { hashMessage, keccak256, parseTransaction, recoverMessageAddress, recoverTransactionAddress } from 'viem'

async function answer({ message, signature, transaction }) {
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
