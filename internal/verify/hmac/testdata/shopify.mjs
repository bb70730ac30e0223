// Shopify: https://shopify.dev/docs/apps/build/webhooks/subscribe/https
import { deliveries, id, mac, malformed, missing, swap, text, unreadable, wrong } from '../../testdata/vectors.mjs'

const sign = (body, secret, { topic = 'orders/create' } = {}) => ({
  'X-Shopify-Topic': topic, 'X-Shopify-Shop-Domain': 'example.myshopify.com', 'X-Shopify-Webhook-Id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
  'X-Shopify-Hmac-SHA256': mac(secret, body).toString('base64'),
})
const claims = (body, headers) => ({ scheme: 'body', name: headers['X-Shopify-Topic'], userid: text(JSON.parse(body).customer?.id), time: '', id: id('hooks', body) })
const { vectors, add } = deliveries('shopify', sign, claims, {
  unsigned: { 'X-Shopify-Topic': 'the name', 'X-Shopify-Shop-Domain': 'nothing', 'X-Shopify-Webhook-Id': 'nothing' },
})
export { vectors }

const B = '{"id":820982911946154508,"email":"jon@example.com","total_price":"414.95","note":"a\\/b","customer":{"id":"115310627314723954"}}'
const set = { topic: 'orders/paid' }
add('an order', B)
add('another topic, and the same id', B, { set })
add('no customer', '{"id":1}')
add('a person without an id', '{"id":1,"customer":null}', { set })
add('no topic', B, { change: ({ 'X-Shopify-Topic': _, ...h }) => h, error: unreadable })
add('no signature', B, { change: ({ 'X-Shopify-Hmac-SHA256': _, ...h }) => h, error: missing })
add('hex', B, { change: (h) => ({ ...h, 'X-Shopify-Hmac-SHA256': Buffer.from(h['X-Shopify-Hmac-SHA256'], 'base64').toString('hex') }), error: malformed })
add('another order', B, { sent: swap(B, '414', '415'), error: wrong })
add('another secret', B, { secrets: ['other'], error: wrong })
