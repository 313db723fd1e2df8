import type { Handler } from './command.js'

/** Says goodbye and closes; what stands behind QUIT is not run. */
export const quit: Handler = {
  id: 'QUIT',
  run: cx => ({
    stream: async session => {
      session.send('220 Bye\r\n')
      cx.session.end()
    },
  }),
}
